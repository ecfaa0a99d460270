/**
 * Three nodes in three zones with two pods each, and a client outside: what clusters and flows are drawn for that go over
 * every hop. Pods are called by namespace and name, `x/a`, and listen on 80 and 81, but not on 82.
 */
import * as fc from "fast-check";
import type { KubeObject } from "#kube";
import { compile, type Snapshot } from "#model";
import { clustersOn, probesOn } from "../../src/path/4-proxy/random.ts";
import type { RandomProbe } from "../../src/path/4-proxy/random.ts";
import { serviceObjects } from "../../src/path/4-proxy/testing.ts";
import type { TestService } from "../../src/path/4-proxy/testing.ts";
import { policiesOver } from "./policy-random.ts";
import { namespaces, podObject, type WorldChanges, type WorldPod } from "./policy-world.ts";

export const nodeNames = ["node-a", "node-b", "node-c"] as const;
export type NodeName = (typeof nodeNames)[number];

/** In the order in which their nodes give out addresses. */
const podsOf: Readonly<Record<NodeName, readonly [string, string]>> = {
  "node-a": ["x/a", "y/a"],
  "node-b": ["x/b", "z/a"],
  "node-c": ["y/b", "z/b"],
};

export const pathPods: readonly WorldPod[] = nodeNames.flatMap((node, n) =>
  podsOf[node].map((key, i): WorldPod => {
    const [namespace = "", name = ""] = key.split("/");
    const six = n === 0 ? "fd00:10:244::" : `fd00:10:244:${n}::`;
    return { key, namespace, name, node, ipv4: `10.244.${n}.${2 + i}`, ipv6: `${six}${2 + i}` };
  }),
);

const nodeAddresses = nodeNames.map((_, n) => ({
  IPv4: `172.30.0.${11 + n}`,
  IPv6: `fd00:172:30::${11 + n}`,
}));

/** As `trace --from` calls a place. */
export type Sender = "internet" | `node/${NodeName}` | `pod/${string}`;

/** What a load balancer should know of a node besides its endpoints. */
export type NodeState = "ready" | "not ready" | "excluded" | "leaving";

/** A cluster, and what is sent through it. */
export interface PathCase {
  readonly services: readonly TestService[];
  readonly policies?: readonly KubeObject[];
  readonly labels?: WorldChanges;
  /** Ready, where nothing is said. */
  readonly nodes?: Readonly<Partial<Record<NodeName, NodeState>>>;
  readonly flows: readonly PathFlow[];
}

/** Not over SCTP: kernels without its sockets can send none. */
export type PathFlow = RandomProbe<Sender> & { readonly protocol: "TCP" | "UDP" };

/** The cluster of a case; `annotations` are those of live nodes, by which they find each other. */
export function pathSnapshot(
  { services, policies = [], labels = {}, nodes = {} }: PathCase,
  annotations: (node: NodeName) => Readonly<Record<string, string>>,
): Snapshot {
  return compile(
    {
      nodes: nodeNames.map((name, n) => nodeObject(name, n, nodes[name] ?? "ready", annotations(name))),
      pods: pathPods.map((pod) => podObject(pod, labels)),
      ...serviceObjects(services),
      ingresses: [],
      ingressClasses: [],
      secrets: [],
      namespaces: namespaces.map((name) => ({
        kind: "Namespace",
        metadata: { name, labels: labels.namespaceLabels?.[name] ?? { ns: name } },
      })),
      serviceCIDRs: [
        {
          kind: "ServiceCIDR",
          metadata: { name: "kubernetes" },
          spec: { cidrs: ["10.96.0.0/16", "fd00:10:96::/112"] },
        },
      ],
      networkPolicies: policies,
    },
    { domain: "cluster.local" },
  );
}

function nodeObject(name: NodeName, n: number, state: NodeState, annotations: object): KubeObject {
  const podCIDR = `10.244.${n}.0/24`;
  const excluded =
    state === "excluded" ? { "node.kubernetes.io/exclude-from-external-load-balancers": "" } : {};
  const taints = [{ key: "ToBeDeletedByClusterAutoscaler", effect: "NoSchedule" }];
  return {
    kind: "Node",
    metadata: {
      name,
      annotations: { ...annotations },
      labels: { "topology.kubernetes.io/zone": name.replace("node", "zone"), ...excluded },
    },
    spec: {
      podCIDR,
      podCIDRs: [podCIDR, `fd00:10:244:${n}::/64`],
      ...(state === "leaving" ? { taints } : {}),
    },
    status: {
      addresses: Object.values(nodeAddresses[n] ?? {}).map((address) => ({ type: "InternalIP", address })),
      conditions: [{ type: "Ready", status: state === "not ready" ? "False" : "True" }],
    },
  };
}

const stage = {
  everybody: [
    "internet" as const,
    "internet" as const,
    ...nodeNames.map((name) => `node/${name}` as const),
    ...pathPods.map(({ key }) => `pod/${key}` as const),
  ],
  nodes: nodeNames.map((name, n) => ({ name, addresses: nodeAddresses[n] ?? { IPv4: "", IPv6: "" } })),
  zones: nodeNames.map((name) => name.replace("node", "zone")),
  pods: pathPods.map(({ key, node, ipv4, ipv6 }) => ({
    name: key,
    node,
    addresses: { IPv4: ipv4, IPv6: ipv6 },
  })),
  targetPorts: [80, 80, 81, 82],
  vips: { IPv4: "203.0.113.20", IPv6: "2001:db8:203:113:8000::20" },
};

const somePolicies = policiesOver(
  pathPods.map(({ key }) => key),
  [
    { cidr: "10.244.0.0/24" },
    { cidr: "10.244.0.0/16", except: ["10.244.1.0/31", "10.244.2.2/32"] },
    { cidr: "0.0.0.0/0", except: ["172.30.0.0/24"] },
    { cidr: "203.0.113.0/24" },
    { cidr: "172.30.0.11/32" },
    { cidr: "::/0", except: ["fd00:10:244:1::/64"] },
    { cidr: "2001:db8::/32" },
  ],
  3,
);

const someState = fc.oneof(
  { weight: 7, arbitrary: fc.constant<NodeState>("ready") },
  fc.constantFrom<NodeState>("not ready", "excluded", "leaving"),
);

const isSendable = (flow: RandomProbe<Sender>): flow is PathFlow => flow.protocol !== "SCTP";

/** A flow, and the Service at one of whose addresses it is aimed, if there is such a Service. */
const someAimedFlow = fc.record({
  flow: probesOn<Sender>(stage).filter(isSendable),
  aim: fc.option(fc.record({ service: fc.constantFrom("s0", "s1", "s2", "s3"), which: fc.nat(99) }), {
    nil: undefined,
  }),
});

/** Every address and port that a Service may be called at over TCP and UDP. */
function targetsOf(service: TestService): readonly Omit<PathFlow, "from">[] {
  const own = [
    service.clusterIP,
    service.secondClusterIP,
    service.loadBalancerIP,
    service.secondLoadBalancerIP,
  ];
  const virtual = own.filter((address): address is string => address !== undefined && address !== "None");
  const onNodes = nodeAddresses.flatMap(({ IPv4, IPv6 }) => [IPv4, IPv6]);
  return (service.ports ?? []).flatMap(({ port = 80, nodePort, protocol }) => {
    if (protocol !== "TCP" && protocol !== "UDP") return [];
    return [
      ...virtual.map((to) => ({ to, port, protocol })),
      ...(nodePort === undefined ? [] : onNodes.map((to) => ({ to, port: nodePort, protocol }))),
    ];
  });
}

const someScheduler = fc.constantFrom(undefined, undefined, undefined, "wrr", "sh", "lc");

/** Clusters of every shape, and flows from everybody to every kind of address. */
export const somePathCase: fc.Arbitrary<PathCase> = fc
  // In the order in which a counterexample becomes smaller: the fewer flows, the sooner the rest is tried.
  .record({
    flows: fc.array(someAimedFlow, { maxLength: 60, size: "max" }),
    // Half of the clusters have none: policies hide what the hops before them do.
    policies: fc.option(somePolicies, { nil: undefined, freq: 2 }),
    nodes: fc.record({ "node-a": someState, "node-b": someState, "node-c": someState }),
    schedulers: fc.record({ s0: someScheduler, s1: someScheduler, s2: someScheduler, s3: someScheduler }),
    services: clustersOn(stage),
  })
  .map(({ policies, flows, schedulers, services, nodes }) => ({
    services: services.map((service) => {
      const scheduler = Object.entries(schedulers).find(([name]) => name === service.name)?.[1];
      return scheduler === undefined ? service : { ...service, scheduler };
    }),
    nodes,
    ...(policies === undefined ? {} : { policies: policies.policies, labels: policies.changes }),
    flows: flows.map(({ flow, aim }) => {
      const service = services.find(({ name }) => name === aim?.service);
      const targets = service === undefined ? [] : targetsOf(service);
      return { ...flow, ...targets[(aim?.which ?? 0) % Math.max(1, targets.length)] };
    }),
  }));

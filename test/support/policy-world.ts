/**
 * Three namespaces with three pods each, spread over two nodes, for tests of NetworkPolicies: as objects, and as a truth
 * table that says who reaches whom. Pods are called by namespace and name: `xa` is pod `a` in namespace `x`.
 */
import type { KubeObject } from "#kube";
import { type ClusterObjects, compile, type Protocol, type Snapshot } from "#model";

export interface WorldPod {
  /** `xa` */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  readonly ipv4: string;
  readonly ipv6: string;
}

export const namespaces = ["x", "y", "z"] as const;
export const ports = [80, 81] as const;
const onNodeA = new Set(["xa", "xb", "ya", "yc", "zb"]);

/** In the order of rows and columns of a table. */
export const worldPods: readonly WorldPod[] = namespaces.flatMap((namespace, i) =>
  ["a", "b", "c"].map((name, j): WorldPod => {
    const key = `${namespace}${name}`;
    const [node, third] = onNodeA.has(key) ? ["node-a", 0] : ["node-b", 1];
    const last = 10 * (i + 1) + j;
    const prefix = third === 0 ? "fd00:10:244::" : "fd00:10:244:1::";
    return { key, namespace, name, node, ipv4: `10.244.${third}.${last}`, ipv6: `${prefix}${last}` };
  }),
);

export const worldNodes = [
  {
    name: "node-a",
    ipv4: "172.30.0.11",
    ipv6: "fd00:172::11",
    podCIDRs: ["10.244.0.0/24", "fd00:10:244::/64"],
  },
  {
    name: "node-b",
    ipv4: "172.30.0.12",
    ipv6: "fd00:172::12",
    podCIDRs: ["10.244.1.0/24", "fd00:10:244:1::/64"],
  },
] as const;

const vtepMacs = { "node-a": "02:00:00:00:00:0a", "node-b": "02:00:00:00:00:0b" } as const;

export function worldPod(key: string): WorldPod {
  const found = worldPods.find((pod) => pod.key === key);
  if (found === undefined) throw new Error(`no pod ${key}`);
  return found;
}

/** Changes to what the world's objects look like by default. */
export interface WorldChanges {
  /** Labels of pods by key, in place of `pod: NAME`. */
  readonly podLabels?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Labels of namespaces, in place of `ns: NAME`. */
  readonly namespaceLabels?: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** Every pod has ports `serve-80-tcp`, `serve-81-udp` and so on, of every protocol. */
export function podObject(
  { key, namespace, name, node, ipv4, ipv6 }: WorldPod,
  { podLabels }: WorldChanges,
): KubeObject {
  const named = ports.flatMap((port) =>
    ["TCP", "UDP", "SCTP"].map((protocol) => ({
      name: `serve-${port}-${protocol.toLowerCase()}`,
      containerPort: port,
      protocol,
    })),
  );
  return {
    kind: "Pod",
    metadata: { namespace, name, uid: key, labels: podLabels?.[key] ?? { pod: name } },
    spec: { nodeName: node, containers: [{ name: "main", ports: named }] },
    status: {
      phase: "Running",
      podIP: ipv4,
      podIPs: [{ ip: ipv4 }, { ip: ipv6 }],
      conditions: [{ type: "Ready", status: "True" }],
    },
  };
}

/** A policy of namespace and name as in `x/deny`. */
export function policy(key: string, spec: object): KubeObject {
  const [namespace = "", name = ""] = key.split("/");
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { namespace, name },
    spec: { podSelector: {}, ...spec },
  };
}

export function worldObjects(policies: readonly KubeObject[], changes: WorldChanges = {}): ClusterObjects {
  return {
    nodes: worldNodes.map(({ name, ipv4, ipv6, podCIDRs }) => ({
      kind: "Node",
      metadata: {
        name,
        annotations: { "flannel.alpha.coreos.com/backend-data": `{"VNI":1,"VtepMAC":"${vtepMacs[name]}"}` },
      },
      spec: { podCIDR: podCIDRs[0], podCIDRs: [...podCIDRs] },
      status: { addresses: [ipv4, ipv6].map((address) => ({ type: "InternalIP", address })) },
    })),
    pods: worldPods.map((pod) => podObject(pod, changes)),
    services: [],
    endpointSlices: [],
    ingresses: [],
    ingressClasses: [],
    secrets: [],
    namespaces: namespaces.map((name) => ({
      kind: "Namespace",
      metadata: { name, labels: changes.namespaceLabels?.[name] ?? { ns: name } },
    })),
    networkPolicies: policies,
  };
}

export function worldSnapshot(policies: readonly KubeObject[], changes?: WorldChanges): Snapshot {
  return compile(worldObjects(policies, changes), { domain: "cluster.local" });
}

/**
 * Who reaches whom: one line for each source, one column for each destination, both in the order xa xb xc ya yb yc za zb
 * zc; `X` reaches, `.` does not. Blanks count for nothing.
 */
export type Table = string;

export interface PolicyCase {
  readonly name: string;
  readonly policies: readonly KubeObject[];
  readonly changes?: WorldChanges;
  /** By port and protocol, `80/TCP`; `*` for all that are not named. */
  readonly reach: { readonly "*": Table; readonly [port: string]: Table };
}

/** What a case says of one connection. */
export function isReachable(
  { reach }: PolicyCase,
  { from, to, port, protocol }: { from: WorldPod; to: WorldPod; port: number; protocol: Protocol },
): boolean {
  const table = reach[`${port}/${protocol}`] ?? reach[`*/${protocol}`] ?? reach["*"];
  const cells = table.replaceAll(/\s/g, "");
  if (!/^[X.]{81}$/.test(cells)) throw new Error(`not a table of 9 by 9:\n${table}`);
  return cells[worldPods.indexOf(from) * worldPods.length + worldPods.indexOf(to)] === "X";
}

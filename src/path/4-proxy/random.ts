/** For tests: clusters and packets drawn at random, in which everything that Service rules look at varies. */
import * as fc from "fast-check";
import { ADDRESSES } from "./contract.ts";
import type { TestEndpoint, TestService } from "./testing.ts";

type Addresses = Readonly<Record<"IPv4" | "IPv6", string>>;

/** The world that clusters and packets are drawn for. */
export interface Stage<Somebody extends string> {
  /** Whoever may send. */
  readonly everybody: readonly Somebody[];
  readonly nodes: readonly { readonly name: string; readonly addresses: Addresses }[];
  readonly zones: readonly string[];
  /** `name` as an endpoint names its pod. */
  readonly pods: readonly { readonly name: string; readonly node: string; readonly addresses: Addresses }[];
  /** Where endpoints listen, or should. */
  readonly targetPorts: readonly number[];
  /** What a number is added to for the address of a load balancer. */
  readonly vips: Addresses;
}

export interface RandomProbe<Somebody extends string> {
  readonly from: Somebody;
  readonly to: string;
  readonly port: number;
  readonly protocol: "TCP" | "UDP" | "SCTP";
}

const protocols = fc.constantFrom("TCP", "TCP", "TCP", "UDP", "UDP", "SCTP");
const policies = ["Cluster", "Local"] as const;
const types = ["ClusterIP", "NodePort", "LoadBalancer", "headless", "ExternalName"] as const;
const serviceNumbers = [0, 1, 2, 3] as const;
const EXTERNAL = "192.0.2.1";

const clusterIP = (i: number): string => `10.96.0.${7 + i}`;
const clusterIP6 = (i: number): string => `fd00:10:96::${7 + i}`;
const nodePort = (service: number, port: number): number => 30_080 + 10 * port + service;

const maybe = <T>(some: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(some, { nil: undefined });
const mostly = (usual: boolean): fc.Arbitrary<boolean> => fc.constantFrom(usual, usual, !usual);
const someOf = (all: readonly string[]) => maybe(fc.subarray([...all], { minLength: 1 }));

function someEndpoint(
  stage: Stage<string>,
  pod: Stage<string>["pods"][number],
): fc.Arbitrary<TestEndpoint[]> {
  return fc
    .record({
      families: fc.subarray(["IPv4", "IPv6"] as const),
      ready: mostly(true),
      serving: fc.boolean(),
      terminating: fc.boolean(),
      targetPort: fc.constantFrom(...stage.targetPorts),
      forZones: someOf(stage.zones),
      forNodes: someOf(stage.nodes.map(({ name }) => name)),
    })
    .map(({ families, forZones, forNodes, ...states }) =>
      families.map((family) => ({
        address: pod.addresses[family],
        node: pod.node,
        pod: pod.name,
        ...states,
        ...(forZones === undefined ? {} : { forZones }),
        ...(forNodes === undefined ? {} : { forNodes }),
      })),
    );
}

const ranges = ["203.0.113.0/24", "203.0.113.10/32", "10.0.0.0/8", "172.30.0.11/32", "2001:db8::/32", "::/0"];

function someService(stage: Stage<string>, i: number): fc.Arbitrary<TestService> {
  return fc
    .record({
      dual: mostly(true),
      endpoints: fc.tuple(...stage.pods.map((pod) => someEndpoint(stage, pod))).map((all) => all.flat()),
      portProtocols: fc.array(protocols, { minLength: 1, maxLength: 2 }),
      // Those that have addresses of every kind are the ones to look at.
      type: fc.oneof({ weight: 2, arbitrary: fc.constant(types[2]) }, fc.constantFrom(...types)),
      ipMode: fc.constantFrom("VIP", "VIP", "Proxy"),
      externalTrafficPolicy: fc.constantFrom(...policies),
      internalTrafficPolicy: fc.constantFrom(...policies),
      sourceRanges: maybe(fc.subarray(ranges, { minLength: 1 })),
      affinitySeconds: maybe(fc.constantFrom(1, 10_800)),
      external: fc.boolean(),
    })
    .map(({ dual, external, sourceRanges, affinitySeconds, type, portProtocols, ...rest }): TestService => {
      const balanced = type === "LoadBalancer";
      const hasNodePorts = balanced || type === "NodePort";
      return {
        ...(rest as Pick<TestService, keyof typeof rest>),
        name: `s${i}`,
        type: type === "headless" ? "ClusterIP" : type,
        clusterIP: type === "headless" ? "None" : clusterIP(i),
        ports: portProtocols.map((protocol, n) => ({
          name: `p${n}`,
          port: 80 + n,
          protocol,
          ...(hasNodePorts ? { nodePort: nodePort(i, n) } : {}),
        })),
        ...(dual && type !== "headless" ? { secondClusterIP: clusterIP6(i) } : {}),
        ...(balanced ? { loadBalancerIP: `${stage.vips.IPv4}${i}` } : {}),
        ...(balanced && dual ? { secondLoadBalancerIP: `${stage.vips.IPv6}${i}` } : {}),
        ...(balanced && rest.externalTrafficPolicy === "Local" ? { healthCheckNodePort: 31_000 + i } : {}),
        ...(external ? { externalIPs: [EXTERNAL] } : {}),
        ...(sourceRanges === undefined ? {} : { sourceRanges }),
        ...(affinitySeconds === undefined ? {} : { affinitySeconds }),
      };
    });
}

/** Up to four Services; endpoints in every state, of both families, with hints. */
export function clustersOn(stage: Stage<string>): fc.Arbitrary<readonly TestService[]> {
  return fc
    .tuple(...serviceNumbers.map((i) => maybe(someService(stage, i))))
    .map((all) => all.flatMap((service) => service ?? []));
}

/** From anybody to any address that such a cluster may have, or nearly has. */
export function probesOn<Somebody extends string>(
  stage: Stage<Somebody>,
): fc.Arbitrary<RandomProbe<Somebody>> {
  const number = fc.constantFrom(...serviceNumbers);
  const atPort = (first: number): fc.Arbitrary<number> =>
    fc.oneof({ weight: 6, arbitrary: fc.constant(first) }, fc.constantFrom(first + 1, first + 2));
  const virtual = (...addresses: readonly ((i: number) => string)[]) =>
    fc.record({
      to: fc.tuple(fc.constantFrom(...addresses), number).map(([of, i]) => of(i)),
      port: atPort(80),
    });
  const ends = (those: readonly { readonly addresses: Addresses }[]): fc.Arbitrary<string> =>
    fc.constantFrom(...those.flatMap(({ addresses }) => [addresses.IPv4, addresses.IPv6]));
  const vips = (["IPv4", "IPv6"] as const).map((family) => (i: number) => `${stage.vips[family]}${i}`);
  const target = fc.oneof(
    { weight: 3, arbitrary: virtual(clusterIP, clusterIP6) },
    { weight: 3, arbitrary: virtual(...vips) },
    {
      weight: 3,
      arbitrary: fc.record({
        to: ends(stage.nodes),
        port: fc.tuple(number, fc.constantFrom(0, 0, 0, 1, 2)).map(([i, n]) => nodePort(i, n)),
      }),
    },
    fc.record({ to: ends(stage.pods), port: fc.constantFrom(...stage.targetPorts) }),
    fc.record({
      to: fc.constantFrom(EXTERNAL, "10.96.9.9", "fd00:10:96::99", "10.244.0.250", "fd00:10:244::fa"),
      port: fc.constant(80),
    }),
  );
  return fc
    .record({
      from: fc.constantFrom(...stage.everybody),
      target,
      protocol: protocols,
    })
    .map(({ target: where, ...rest }) => ({ ...rest, ...where }));
}

const twoNodes: Stage<"client" | "stranger" | "node" | "pod-1" | "pod-2"> = {
  // Whoever's packets node-a may see first.
  everybody: ["client", "stranger", "node", "pod-1", "pod-2"],
  nodes: [
    { name: "node-a", addresses: ADDRESSES.node },
    { name: "node-b", addresses: { IPv4: "172.30.0.12", IPv6: "fd00:172:30::12" } },
  ],
  zones: ["zone-a", "zone-b"],
  pods: (["pod-1", "pod-2", "pod-3", "pod-4"] as const).map((name) => ({
    name,
    node: name < "pod-3" ? "node-a" : "node-b",
    addresses: ADDRESSES[name],
  })),
  targetPorts: [8080],
  vips: { IPv4: "203.0.113.20", IPv6: "2001:db8:113::20" },
};

/** Of the two nodes of `testSnapshot`, and packets that node-a sees first. */
export const someCluster = clustersOn(twoNodes);
export const someProbe = probesOn(twoNodes);

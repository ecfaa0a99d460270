/** For tests: clusters and packets drawn at random, in which everything that Service rules look at varies. */
import * as fc from "fast-check";
import { ADDRESSES } from "./contract.ts";
import type { PodName, Who } from "./contract.ts";
import type { TestEndpoint, TestService } from "./testing.ts";

export interface RandomProbe {
  readonly from: Who;
  readonly to: string;
  readonly port: number;
  readonly protocol: "TCP" | "UDP" | "SCTP";
}

/** Whoever's packets node-a may see first. */
const everybody = ["client", "stranger", "node", "pod-1", "pod-2"] as const;
const podNames = ["pod-1", "pod-2", "pod-3", "pod-4"] as const satisfies readonly PodName[];
const protocols = ["TCP", "UDP", "SCTP"] as const;
const policies = ["Cluster", "Local"] as const;
const serviceNumbers = [0, 1, 2, 3] as const;

const clusterIP = (i: number): string => `10.96.0.${7 + i}`;
const clusterIP6 = (i: number): string => `fd00:10:96::${7 + i}`;
const vip = (i: number): string => `203.0.113.${200 + i}`;
const vip6 = (i: number): string => `2001:db8:113::20${i}`;

const maybe = <T>(some: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(some, { nil: undefined });

const zones = maybe(fc.subarray(["zone-a", "zone-b"], { minLength: 1 }));
const nodes = maybe(fc.subarray(["node-a", "node-b"], { minLength: 1 }));

const someEndpoint = (name: PodName): fc.Arbitrary<TestEndpoint[]> =>
  fc
    .record({
      families: fc.subarray(["IPv4", "IPv6"] as const),
      ready: fc.boolean(),
      serving: fc.boolean(),
      terminating: fc.boolean(),
      forZones: zones,
      forNodes: nodes,
    })
    .map(({ families, forZones, forNodes, ...states }) =>
      families.map((family) => ({
        address: ADDRESSES[name][family],
        node: name < "pod-3" ? "node-a" : "node-b",
        pod: name,
        ...states,
        ...(forZones === undefined ? {} : { forZones }),
        ...(forNodes === undefined ? {} : { forNodes }),
      })),
    );

const ranges = ["203.0.113.0/24", "203.0.113.10/32", "10.0.0.0/8", "172.30.0.11/32", "2001:db8::/32", "::/0"];

const someService = (i: number): fc.Arbitrary<TestService> =>
  fc
    .record({
      dual: fc.boolean(),
      endpoints: fc.tuple(...podNames.map(someEndpoint)).map((all) => all.flat()),
      protocol: fc.constantFrom(...protocols),
      type: fc.constantFrom("ClusterIP", "LoadBalancer"),
      ipMode: fc.constantFrom("VIP", "Proxy"),
      externalTrafficPolicy: fc.constantFrom(...policies),
      internalTrafficPolicy: fc.constantFrom(...policies),
      sourceRanges: maybe(fc.subarray(ranges, { minLength: 1 })),
      affinitySeconds: maybe(fc.constantFrom(1, 10_800)),
      external: fc.boolean(),
    })
    .map(({ dual, external, sourceRanges, affinitySeconds, ...rest }): TestService => {
      const balanced = rest.type === "LoadBalancer";
      return {
        ...(rest as Pick<TestService, keyof typeof rest>),
        name: `s${i}`,
        clusterIP: clusterIP(i),
        ...(dual ? { secondClusterIP: clusterIP6(i) } : {}),
        ...(balanced ? { nodePort: 30_080 + i, loadBalancerIP: vip(i) } : {}),
        ...(balanced && dual ? { secondLoadBalancerIP: vip6(i) } : {}),
        ...(external ? { externalIPs: ["192.0.2.1"] } : {}),
        ...(sourceRanges === undefined ? {} : { sourceRanges }),
        ...(affinitySeconds === undefined ? {} : { affinitySeconds }),
      };
    });

/** Up to four Services; endpoints in every state, of both families, with hints. */
export const someCluster: fc.Arbitrary<readonly TestService[]> = fc
  .tuple(...serviceNumbers.map((i) => maybe(someService(i))))
  .map((all) => all.flatMap((service) => service ?? []));

/** From anybody to any address that such a cluster may have, or nearly has. */
export const someProbe: fc.Arbitrary<RandomProbe> = fc
  .record({
    from: fc.constantFrom(...everybody),
    number: fc.constantFrom(...serviceNumbers),
    kind: fc.constantFrom("clusterIP", "clusterIP6", "vip", "vip6", "node", "node6", "external"),
    otherPort: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    protocol: fc.constantFrom(...protocols),
  })
  .map(({ from, number, kind, otherPort, protocol }) => {
    const places = {
      clusterIP: clusterIP(number),
      clusterIP6: clusterIP6(number),
      vip: vip(number),
      vip6: vip6(number),
      node: ADDRESSES.node.IPv4,
      node6: ADDRESSES.node.IPv6,
      external: "192.0.2.1",
    };
    const port = kind.startsWith("node") ? 30_080 + number : 80;
    return { from, to: places[kind], port: otherPort ? port + 1 : port, protocol };
  });

/**
 * For tests: what Service rules must do to packets, as data. Run against `explain()`, against rendered rules in memory,
 * and with packets by `test/net/proxy-contract.test.ts` in every mode.
 *
 * The rules are those of node-a. `client` and `stranger` are outside the cluster; pod-1 and pod-2 run on node-a, pod-3
 * and pod-4 on node-b. Everybody has an address of each family.
 */
import type { PlanOptions } from "./plan.ts";
import type { TestEndpoint, TestService } from "./testing.ts";

export type Who = "client" | "stranger" | "node" | PodName;
export type PodName = "pod-1" | "pod-2" | "pod-3" | "pod-4";
type Family = "IPv4" | "IPv6";

export const ADDRESSES: Readonly<Record<Who, Readonly<Record<Family, string>>>> = {
  client: { IPv4: "203.0.113.10", IPv6: "2001:db8:113::10" },
  stranger: { IPv4: "198.51.100.10", IPv6: "2001:db8:100::10" },
  node: { IPv4: "172.30.0.11", IPv6: "fd00:172:30::11" },
  "pod-1": { IPv4: "10.244.0.2", IPv6: "fd00:10:244::2" },
  "pod-2": { IPv4: "10.244.0.3", IPv6: "fd00:10:244::3" },
  "pod-3": { IPv4: "10.244.1.2", IPv6: "fd00:10:244:1::2" },
  "pod-4": { IPv4: "10.244.1.3", IPv6: "fd00:10:244:1::3" },
};

export const CLUSTER_IP = "10.96.0.7";
export const NODE = ADDRESSES.node.IPv4;
/** The load-balancer address. */
export const VIP = "203.0.113.200";
/** An address that no Service has, and one that a Service has as its external address. */
export const EXTERNAL_IP = "203.0.113.201";
export const CLUSTER_IP6 = "fd00:10:96::7";
const NODE6 = ADDRESSES.node.IPv6;
export const VIP6 = "2001:db8:113::200";

/** `pass`: it is for no Service, and goes on unchanged. */
export type Expected = "reject" | "drop" | "pass" | readonly PodName[];

export interface Probe {
  readonly from: Who;
  readonly to: readonly [address: string, port: number];
  /** TCP if not said. */
  readonly protocol?: "TCP" | "UDP" | "SCTP";
  readonly expect: Expected;
  /** Whether the endpoint sees another source than the one that sends; kept if not said. */
  readonly masqueraded?: boolean;
  /** Modes in which it is otherwise, as it is in kube-proxy. */
  readonly unless?: Readonly<Partial<Record<"iptables" | "ipvs" | "userspace", Expected>>>;
}

export interface ContractCase {
  /** A fact in plain English. */
  readonly name: string;
  readonly services: readonly TestService[];
  readonly options?: PlanOptions;
  readonly probes: readonly Probe[];
}

export function pod(name: PodName, more: Partial<TestEndpoint> = {}): TestEndpoint {
  return endpointOf(name, "IPv4", more);
}

export function pod6(name: PodName, more: Partial<TestEndpoint> = {}): TestEndpoint {
  return endpointOf(name, "IPv6", more);
}

function endpointOf(name: PodName, family: Family, more: Partial<TestEndpoint>): TestEndpoint {
  const node = name === "pod-1" || name === "pod-2" ? "node-a" : "node-b";
  return { address: ADDRESSES[name][family], node, pod: name, ...more };
}

/** A Service with every kind of address. */
export function api(endpoints: readonly TestEndpoint[], more: Partial<TestService> = {}): TestService {
  const everyKind = {
    clusterIP: CLUSTER_IP,
    type: "LoadBalancer",
    nodePort: 30080,
    loadBalancerIP: VIP,
  } as const;
  return { name: "api", ...everyKind, endpoints, ...more };
}

const three = [pod("pod-1"), pod("pod-2"), pod("pod-3")];
const allThree = ["pod-1", "pod-2", "pod-3"] as const;
const toClusterIP = [CLUSTER_IP, 80] as const;
const toNodePort = [NODE, 30080] as const;
const toVip = [VIP, 80] as const;

const kindsOfAddresses: readonly ContractCase[] = [
  {
    name: "every kind of address leads to the ready endpoints; only pods at a ClusterIP keep their source",
    services: [api(three)],
    probes: [
      { from: "client", to: toClusterIP, expect: allThree, masqueraded: true },
      { from: "node", to: toClusterIP, expect: allThree, masqueraded: true },
      { from: "pod-4", to: toClusterIP, expect: allThree },
      { from: "client", to: toNodePort, expect: allThree, masqueraded: true },
      { from: "pod-4", to: toNodePort, expect: allThree, masqueraded: true },
      { from: "node", to: toNodePort, expect: allThree, masqueraded: true },
      { from: "client", to: toVip, expect: allThree, masqueraded: true },
      { from: "pod-4", to: toVip, expect: allThree, masqueraded: true },
      { from: "node", to: toVip, expect: allThree, masqueraded: true },
    ],
  },
  {
    name: "with masqueradeAll pods' sources at a ClusterIP are rewritten, too",
    services: [api([pod("pod-3")])],
    options: { masqueradeAll: true },
    probes: [
      { from: "pod-1", to: toClusterIP, expect: ["pod-3"], masqueraded: true },
      { from: "client", to: toClusterIP, expect: ["pod-3"], masqueraded: true },
    ],
  },
  {
    name: "the same port number exists for TCP, UDP and SCTP",
    services: [
      {
        name: "dns",
        clusterIP: "10.96.0.10",
        endpoints: [pod("pod-1")],
        ports: (["TCP", "UDP", "SCTP"] as const).map((protocol) => ({ name: protocol, port: 53, protocol })),
      },
      {
        name: "udp-only",
        clusterIP: "10.96.0.11",
        endpoints: [pod("pod-2")],
        ports: [{ name: "udp", port: 53, protocol: "UDP" }],
      },
    ],
    probes: [
      { from: "pod-4", to: ["10.96.0.10", 53], expect: ["pod-1"] },
      { from: "pod-4", to: ["10.96.0.10", 53], protocol: "UDP", expect: ["pod-1"] },
      { from: "pod-4", to: ["10.96.0.10", 53], protocol: "SCTP", expect: ["pod-1"] },
      { from: "pod-4", to: ["10.96.0.11", 53], protocol: "UDP", expect: ["pod-2"] },
      { from: "pod-4", to: ["10.96.0.11", 53], expect: "reject", unless: { iptables: "pass" } },
    ],
  },
  {
    name: "another port of a ClusterIP is refused, a ClusterIP that nobody has is met with silence",
    services: [api(three)],
    probes: [
      { from: "client", to: [CLUSTER_IP, 81], expect: "reject", unless: { iptables: "pass" } },
      {
        from: "pod-4",
        to: [CLUSTER_IP, 80],
        protocol: "UDP",
        expect: "reject",
        unless: { iptables: "pass" },
      },
      {
        from: "pod-4",
        to: ["10.96.9.9", 80],
        expect: "drop",
        unless: { iptables: "pass", userspace: "reject" },
      },
      {
        from: "client",
        to: ["10.96.9.9", 80],
        expect: "drop",
        unless: { iptables: "pass", userspace: "reject" },
      },
    ],
  },
  {
    name: "a load balancer that wants to see the connections of pods itself (ipMode Proxy) gets them",
    services: [api(three, { ipMode: "Proxy" })],
    probes: [
      { from: "pod-4", to: toVip, expect: "pass" },
      { from: "client", to: toVip, expect: "pass" },
      { from: "client", to: toNodePort, expect: allThree, masqueraded: true },
    ],
  },
  {
    name: "external addresses are not served unless that is asked for",
    services: [api(three, { externalIPs: [EXTERNAL_IP] })],
    probes: [{ from: "client", to: [EXTERNAL_IP, 80], expect: "pass" }],
  },
  {
    name: "external addresses are served where that is asked for",
    services: [api(three, { externalIPs: [EXTERNAL_IP] })],
    options: { externalIPs: true },
    probes: [
      { from: "client", to: [EXTERNAL_IP, 80], expect: allThree, masqueraded: true },
      { from: "pod-4", to: [EXTERNAL_IP, 80], expect: allThree, masqueraded: true },
    ],
  },
  {
    name: "node ports are open at the addresses that were named only",
    services: [api(three)],
    options: { nodePortAddresses: [] },
    probes: [
      { from: "client", to: toNodePort, expect: "pass" },
      { from: "client", to: toVip, expect: allThree, masqueraded: true },
    ],
  },
];

const sourceRanges: readonly ContractCase[] = [
  {
    name: "source ranges bind the load-balancer address and nothing else",
    services: [api(three, { sourceRanges: ["203.0.113.0/24", "203.0.113.10/32", "10.244.0.0/24"] })],
    probes: [
      { from: "client", to: toVip, expect: allThree, masqueraded: true },
      { from: "stranger", to: toVip, expect: "drop" },
      { from: "pod-1", to: toVip, expect: allThree, masqueraded: true },
      { from: "pod-4", to: toVip, expect: "drop" },
      { from: "node", to: toVip, expect: "drop" },
      { from: "stranger", to: toNodePort, expect: allThree, masqueraded: true },
      { from: "stranger", to: toClusterIP, expect: allThree, masqueraded: true },
    ],
  },
  {
    name: "a node in the source ranges reaches the load-balancer address",
    services: [api(three, { sourceRanges: ["172.30.0.0/24"] })],
    probes: [
      { from: "node", to: toVip, expect: allThree, masqueraded: true },
      { from: "client", to: toVip, expect: "drop" },
    ],
  },
  {
    name: "source ranges hold without endpoints and with policy Local, too",
    services: [
      api([], { sourceRanges: ["203.0.113.0/24"] }),
      {
        name: "local",
        clusterIP: "10.96.0.8",
        type: "LoadBalancer",
        loadBalancerIP: EXTERNAL_IP,
        externalTrafficPolicy: "Local",
        sourceRanges: ["198.51.100.0/24"],
        endpoints: three,
      },
    ],
    probes: [
      { from: "client", to: toVip, expect: "reject" },
      { from: "stranger", to: toVip, expect: "drop" },
      { from: "stranger", to: [EXTERNAL_IP, 80], expect: ["pod-1", "pod-2"] },
      { from: "client", to: [EXTERNAL_IP, 80], expect: "drop" },
    ],
  },
  {
    name: "the range of everybody is no restriction",
    services: [api([pod("pod-1")], { sourceRanges: ["10.0.0.0/8", "0.0.0.0/0"] })],
    probes: [{ from: "stranger", to: toVip, expect: ["pod-1"], masqueraded: true }],
  },
];

const noEndpoints = (expect: "reject" | "drop", who: readonly Who[]): readonly Probe[] =>
  who.flatMap((from) => [toClusterIP, toNodePort, toVip].map((to): Probe => ({ from, to, expect })));

const policies: readonly ContractCase[] = [
  {
    name: "without ready endpoints every kind of address refuses, from everywhere",
    services: [api([pod("pod-1", { ready: false })])],
    probes: noEndpoints("reject", ["client", "node", "pod-3"]),
  },
  {
    name: "UDP without endpoints is refused, too",
    services: [{ name: "dns", clusterIP: "10.96.0.10", port: 53, protocol: "UDP", endpoints: [] }],
    probes: [{ from: "pod-1", to: ["10.96.0.10", 53], protocol: "UDP", expect: "reject" }],
  },
  {
    name: "externalTrafficPolicy Local: outsiders meet local endpoints and keep their source, insiders meet all",
    services: [api(three, { externalTrafficPolicy: "Local" })],
    probes: [
      { from: "client", to: toNodePort, expect: ["pod-1", "pod-2"] },
      { from: "client", to: toVip, expect: ["pod-1", "pod-2"] },
      { from: "pod-4", to: toVip, expect: allThree },
      { from: "node", to: toVip, expect: allThree, masqueraded: true },
      { from: "client", to: toClusterIP, expect: allThree, masqueraded: true },
    ],
  },
  {
    name: "externalTrafficPolicy Local without a local endpoint: silence for outsiders, service for insiders",
    services: [api([pod("pod-3")], { externalTrafficPolicy: "Local" })],
    probes: [
      { from: "client", to: toVip, expect: "drop" },
      { from: "client", to: toNodePort, expect: "drop" },
      { from: "pod-1", to: toVip, expect: ["pod-3"] },
      { from: "node", to: toVip, expect: ["pod-3"], masqueraded: true },
    ],
  },
  {
    name: "externalTrafficPolicy Local without any endpoint refuses everybody",
    services: [api([], { externalTrafficPolicy: "Local" })],
    probes: noEndpoints("reject", ["client", "node", "pod-1"]),
  },
  {
    name: "internalTrafficPolicy Local without a local endpoint: silence at the ClusterIP, service elsewhere",
    services: [api([pod("pod-3")], { internalTrafficPolicy: "Local" })],
    probes: [
      { from: "pod-1", to: toClusterIP, expect: "drop" },
      { from: "client", to: toVip, expect: ["pod-3"], masqueraded: true },
    ],
  },
  {
    name: "internalTrafficPolicy Local keeps connections to the ClusterIP on the node",
    services: [api(three, { internalTrafficPolicy: "Local" })],
    probes: [
      { from: "pod-4", to: toClusterIP, expect: ["pod-1", "pod-2"] },
      { from: "client", to: toVip, expect: allThree, masqueraded: true },
    ],
  },
];

const choice: readonly ContractCase[] = [
  {
    name: "endpoints that serve while terminating count where none is ready, and only there",
    services: [
      api([pod("pod-1", { ready: false, serving: true, terminating: true }), pod("pod-2", { ready: false })]),
      {
        name: "other",
        clusterIP: "10.96.0.8",
        endpoints: [pod("pod-1", { ready: false, serving: true, terminating: true }), pod("pod-3")],
      },
    ],
    probes: [
      { from: "pod-4", to: toClusterIP, expect: ["pod-1"] },
      { from: "pod-4", to: ["10.96.0.8", 80], expect: ["pod-3"] },
    ],
  },
  {
    name: "endpoints hinted for this zone are preferred",
    services: [
      api([
        pod("pod-1", { forZones: ["zone-a"] }),
        pod("pod-2", { forZones: ["zone-b"] }),
        pod("pod-3", { forZones: ["zone-a", "zone-b"] }),
      ]),
    ],
    probes: [
      { from: "pod-4", to: toClusterIP, expect: ["pod-1", "pod-3"] },
      { from: "client", to: toVip, expect: ["pod-1", "pod-3"], masqueraded: true },
    ],
  },
  {
    name: "endpoints hinted for this node are preferred to those of its zone",
    services: [
      api([
        pod("pod-1", { forZones: ["zone-a"], forNodes: ["node-a"] }),
        pod("pod-3", { forZones: ["zone-a"], forNodes: ["node-b"] }),
      ]),
    ],
    probes: [{ from: "pod-4", to: toClusterIP, expect: ["pod-1"] }],
  },
  {
    name: "a hint that is missing, or a place without endpoints, makes all count",
    services: [
      api([pod("pod-1", { forZones: ["zone-a"] }), pod("pod-3")]),
      { name: "other", clusterIP: "10.96.0.8", endpoints: [pod("pod-3", { forZones: ["zone-b"] })] },
    ],
    probes: [
      { from: "pod-4", to: toClusterIP, expect: ["pod-1", "pod-3"] },
      { from: "pod-4", to: ["10.96.0.8", 80], expect: ["pod-3"] },
    ],
  },
  {
    name: "a pod meets itself through its own Service, and sees the node then",
    services: [api([pod("pod-1")], { externalTrafficPolicy: "Local" })],
    probes: [
      { from: "pod-1", to: toClusterIP, expect: ["pod-1"], masqueraded: true },
      { from: "pod-1", to: toVip, expect: ["pod-1"], masqueraded: true },
      { from: "pod-2", to: toClusterIP, expect: ["pod-1"] },
    ],
  },
];

const families: readonly ContractCase[] = [
  {
    name: "IPv6: every kind of address, as with IPv4",
    services: [
      api([pod6("pod-1"), pod6("pod-2"), pod6("pod-3")], { clusterIP: CLUSTER_IP6, loadBalancerIP: VIP6 }),
    ],
    probes: [
      { from: "client", to: [CLUSTER_IP6, 80], expect: allThree, masqueraded: true },
      { from: "pod-4", to: [CLUSTER_IP6, 80], expect: allThree },
      { from: "pod-1", to: [CLUSTER_IP6, 80], expect: allThree },
      { from: "client", to: [NODE6, 30080], expect: allThree, masqueraded: true },
      { from: "client", to: [VIP6, 80], expect: allThree, masqueraded: true },
      { from: "node", to: [VIP6, 80], expect: allThree, masqueraded: true },
      { from: "pod-4", to: [CLUSTER_IP6, 81], expect: "reject", unless: { iptables: "pass" } },
      {
        from: "pod-4",
        to: ["fd00:10:96::99", 80],
        expect: "drop",
        unless: { iptables: "pass", userspace: "reject" },
      },
      { from: "client", to: [NODE, 30080], expect: "pass" },
    ],
  },
  {
    name: "dual stack: each family goes to its own endpoints, with policies of its own",
    services: [
      api([pod("pod-1"), pod("pod-3"), pod6("pod-2"), pod6("pod-3")], {
        secondClusterIP: CLUSTER_IP6,
        secondLoadBalancerIP: VIP6,
        externalTrafficPolicy: "Local",
        sourceRanges: ["203.0.113.0/24", "2001:db8:113::/64"],
      }),
    ],
    probes: [
      { from: "pod-4", to: toClusterIP, expect: ["pod-1", "pod-3"] },
      { from: "pod-4", to: [CLUSTER_IP6, 80], expect: ["pod-2", "pod-3"] },
      { from: "client", to: toVip, expect: ["pod-1"] },
      { from: "client", to: [VIP6, 80], expect: ["pod-2"] },
      { from: "stranger", to: [VIP6, 80], expect: "drop" },
      { from: "client", to: [NODE6, 30080], expect: ["pod-2"] },
    ],
  },
  {
    name: "a family without endpoints is refused while the other one is served",
    services: [api([pod("pod-1")], { secondClusterIP: CLUSTER_IP6 })],
    probes: [
      { from: "pod-4", to: toClusterIP, expect: ["pod-1"] },
      { from: "pod-4", to: [CLUSTER_IP6, 80], expect: "reject" },
      {
        from: "client",
        to: [CLUSTER_IP6, 80],
        protocol: "UDP",
        expect: "reject",
        unless: { iptables: "pass" },
      },
    ],
  },
];

export const contract: readonly ContractCase[] = [
  ...kindsOfAddresses,
  ...sourceRanges,
  ...policies,
  ...choice,
  ...families,
];

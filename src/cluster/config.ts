import { canonicalCidr } from "#lib/ip";
import type { AddressPool, IpFamily, Overlay } from "#model";
import type { NodeIdentity } from "#path/node";
import type { CommandMapping } from "#path/pod";
import type { ProxyMode } from "#path/proxy";

/** What a cluster is made of; every value can be overridden by the command that starts it. */
export interface ClusterConfig {
  readonly name: string;
  readonly domain: string;
  readonly nodes: readonly NodeConfig[];
  readonly proxyMode: ProxyMode;
  readonly overlay: Overlay;
  /** Address families of nodes, pods and Services, the primary one first. */
  readonly ipFamilies: readonly IpFamily[];
  /** Of these families. */
  readonly serviceCIDRs: readonly string[];
  /** Ports of the load balancer's address that are published on the host's loopback. */
  readonly publish: readonly Publish[];
  /** Directory of this cluster's files, mode 0700, as seen by the host and by the cluster alike. */
  readonly stateDir: string;
  /** True when the cluster runs as real root (no user namespace). */
  readonly root: boolean;
  /** Nameservers of the host for names outside the cluster; empty: such names get SERVFAIL. */
  readonly upstreamDns: readonly string[];
  /** Local commands that stand for containers (`inroad.yaml`), as parsed by the command line. */
  readonly commands: readonly CommandMapping[];
  /** What load balancers' addresses are given out of; they do not overlap each other, nor any other network. */
  readonly addressPools: readonly AddressPool[];
}

export interface NodeConfig extends NodeIdentity {
  /** Label `topology.kubernetes.io/zone`. */
  readonly zone?: string;
}

export interface Publish {
  readonly hostPort: number;
  readonly port: number;
}

/** Addresses that are the same in every cluster; each cluster has network namespaces of its own. */
export const addresses = {
  /** The control address on the underlay: the API server listens here. */
  control: "172.30.0.1",
  apiPort: 6443,
  edge: "172.30.0.2",
  firstNode: 11,
  underlay: "172.30.0.0/24",
  kubernetesService: "10.96.0.1",
  dnsService: "10.96.0.10",
  internet: "203.0.113.10",
  internetIPv6: "2001:db8:203:113::10",
  publicDns: "203.0.113.53",
  outside: "203.0.113.0/24",
  /** Links between the host and clusters run by root (shared address space, RFC 6598), one /30 each. */
  hostLinks: "100.126.0.0/16",
} as const;

/** By address family. */
const serviceNetworks: Readonly<Record<IpFamily, string>> = {
  IPv4: "10.96.0.0/16",
  IPv6: "fd00:10:96::/112",
};

/** The ranges of Service addresses of these families. */
export function serviceCIDRs(families: readonly IpFamily[]): string[] {
  return families.map((family) => serviceNetworks[family]);
}

export const longestCluster = 100;

/**
 * `node-a`, `node-b` ... `node-z`, then `node-27` and on; at most `longestCluster`.
 * @param zones given to the nodes in turn; nodes have no zone if there are none
 */
export function nodeConfigs(
  count: number,
  families: readonly IpFamily[],
  zones: readonly string[] = [],
): NodeConfig[] {
  return Array.from({ length: count }, (_, index) => ({
    ...nodeAt(index, families),
    ...(zones.length === 0 ? {} : { zone: zones[index % zones.length] ?? "" }),
  }));
}

/** The node in the index-th place, from 0: node-a with 172.30.0.11 and fd00:172:30::11 comes first. */
export function nodeAt(index: number, families: readonly IpFamily[]): NodeIdentity {
  const name = index < 26 ? `node-${String.fromCharCode(97 + index)}` : `node-${index + 1}`;
  const ends = families.map((family) => placeOf[family](index));
  const { address = "", podCIDR = "" } = ends[families.indexOf("IPv4")] ?? {};
  return {
    name,
    address,
    addresses: ends.map((end) => end.address),
    podCIDR,
    podCIDRs: ends.map((end) => end.podCIDR),
  };
}

const placeOf: Readonly<Record<IpFamily, (index: number) => { address: string; podCIDR: string }>> = {
  IPv4: (index) => ({
    address: `172.30.0.${addresses.firstNode + index}`,
    podCIDR: `10.244.${index}.0/24`,
  }),
  IPv6: (index) => ({
    address: `fd00:172:30::${addresses.firstNode + index}`,
    podCIDR: canonicalCidr(`fd00:10:244:${index.toString(16)}::/64`) ?? "",
  }),
};

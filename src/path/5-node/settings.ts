/** Numbers and names of the embedded cluster's network; the head may override any of them. */
import type { IpFamily, Overlay } from "#model";

export interface NodeNetworkSettings {
  /** All pods of the cluster, one network of each family; every node owns a part of it. */
  readonly podNetworks: readonly string[];
  /** How the nodes reach each other's pods. */
  readonly overlay: Overlay;
  /** The network that joins the nodes: a bridge in the home namespace, which is also their default gateway. */
  readonly underlay: {
    readonly bridge: string;
    /** Of the bridge, with prefix length, one of each family. */
    readonly addresses: readonly string[];
    readonly mtu: number;
  };
  /** Further routes of every node. */
  readonly routes: readonly { readonly to: string; readonly via: string }[];
}

const networks = {
  IPv4: { pods: "10.244.0.0/16", underlay: "172.30.0.1/24", outside: "203.0.113.0/24", edge: "172.30.0.2" },
  IPv6: {
    pods: "fd00:10:244::/56",
    underlay: "fd00:172:30::1/64",
    outside: "2001:db8:203:113::/64",
    edge: "fd00:172:30::2",
  },
} as const;

/** The network of an embedded cluster with these address families, the primary one first. */
export function networkSettings(families: readonly IpFamily[], overlay: Overlay): NodeNetworkSettings {
  const parts = families.map((family) => networks[family]);
  return {
    podNetworks: parts.map(({ pods }) => pods),
    overlay,
    underlay: { bridge: "inroad0", addresses: parts.map(({ underlay }) => underlay), mtu: 1500 },
    routes: parts.map(({ outside, edge }) => ({ to: outside, via: edge })),
  };
}

export const defaultSettings = networkSettings(["IPv4"], "vxlan");

/** Names as Flannel gives them, so that its documentation and tools fit. */
export const overlayDevice = "flannel.1";
export const underlayDevice = "eth0";
export const vxlanId = 1;
/** The Linux kernel's and Flannel's default; IANA's 4789 is another. */
export const vxlanPort = 8472;

/** The pods' only neighbour of each family: link-local addresses that no device has. */
export const podGateways: Readonly<Record<IpFamily, string>> = { IPv4: "169.254.1.1", IPv6: "fe80::1" };
/** The node's end of every pod link. */
export const podGatewayMac = "ee:ee:ee:ee:ee:ee";

/** How the first packet of a connection left the node, or-ed into its conntrack mark. */
export const leftByMark = { overlay: 0x100, pod: 0x200, underlay: 0x400 } as const;

/** The node annotations by which Flannel's nodes learn of each other. */
export const backendDataAnnotation = "flannel.alpha.coreos.com/backend-data";
export const backendTypeAnnotation = "flannel.alpha.coreos.com/backend-type";
export const publicIpAnnotation = "flannel.alpha.coreos.com/public-ip";

/** Numbers and names of the embedded cluster's network; the head may override any of them. */
export interface NodeNetworkSettings {
  /** All pods of the cluster; every node owns a part of it. */
  readonly podNetwork: string;
  /** The network that joins the nodes: a bridge in the home namespace, which is also their default gateway. */
  readonly underlay: {
    readonly bridge: string;
    readonly address: string;
    readonly prefix: number;
    readonly mtu: number;
  };
  /** Further routes of every node. */
  readonly routes: readonly { readonly to: string; readonly via: string }[];
}

export const defaultSettings: NodeNetworkSettings = {
  podNetwork: "10.244.0.0/16",
  underlay: { bridge: "inroad0", address: "172.30.0.1", prefix: 24, mtu: 1500 },
  routes: [{ to: "203.0.113.0/24", via: "172.30.0.2" }],
};

/** Names as Flannel gives them, so that its documentation and tools fit. */
export const overlayDevice = "flannel.1";
export const underlayDevice = "eth0";
export const vxlanId = 1;
/** The Linux kernel's and Flannel's default; IANA's 4789 is another. */
export const vxlanPort = 8472;
/** Outer IPv4 (20), UDP (8), VXLAN (8) and inner Ethernet header (14). */
export const vxlanOverhead = 50;

/** The pods' only neighbour: a link-local address that no device has; its MAC is the node's end of every pod link. */
export const podGateway = "169.254.1.1";
export const podGatewayMac = "ee:ee:ee:ee:ee:ee";

/** How the first packet of a connection left the node, or-ed into its conntrack mark. */
export const leftByMark = { overlay: 0x100, pod: 0x200, underlay: 0x400 } as const;

/** The node annotations by which Flannel's nodes learn of each other. */
export const backendDataAnnotation = "flannel.alpha.coreos.com/backend-data";
export const backendTypeAnnotation = "flannel.alpha.coreos.com/backend-type";
export const publicIpAnnotation = "flannel.alpha.coreos.com/public-ip";

/**
 * What must be on each node, as text for ip, bridge and nft. Pure: the tracer reads the same lines as predictions.
 * Overlay and masquerading follow Flannel (flannel `pkg/backend/vxlan`, `pkg/trafficmngr/nftables`); pod links are
 * routed as Calico's are: a /32 on each side of a veth pair and an on-link gateway.
 */
import { createHash } from "node:crypto";
import { ipv4ToNumber, numberToIPv4, parseCidr } from "#lib/ip";
import type { NodeModel, Snapshot } from "#model";
import {
  backendDataAnnotation,
  backendTypeAnnotation,
  leftByMark,
  overlayDevice,
  podGateway,
  podGatewayMac,
  publicIpAnnotation,
  underlayDevice,
  vxlanId,
  vxlanOverhead,
  vxlanPort,
} from "./settings.ts";
import type { NodeNetworkSettings } from "./settings.ts";

/** What a node is by its place in the cluster. */
export type NodeIdentity = Pick<NodeModel, "name" | "address" | "podCIDR">;

/** A node as the others reach it through the overlay. */
export interface RemoteNode {
  readonly name: string;
  readonly address: string;
  readonly podCIDR: string;
  readonly vtepMac: string;
}

export interface PodLink {
  readonly address: string;
  /** The node's end; the pod's end is always eth0. */
  readonly device: string;
  readonly mac: string;
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** MAC of the node's tunnel endpoint: the same for the same name, locally administered, unicast. */
export function vtepMac(node: string): string {
  return ["02", ...(digest(`vtep ${node}`).toString("hex").slice(0, 10).match(/../g) ?? [])].join(":");
}

/** First address of the node's pods, `.0`: the tunnel endpoint. */
export function vtepAddress(podCIDR: string): string {
  return numberToIPv4(parseCidr(podCIDR).base);
}

/** Annotations by which a node tells the others where its tunnel ends. */
export function nodeAnnotations(node: NodeIdentity): Record<string, string> {
  return {
    [backendDataAnnotation]: JSON.stringify({ VNI: vxlanId, VtepMAC: vtepMac(node.name) }),
    [backendTypeAnnotation]: "vxlan",
    [publicIpAnnotation]: node.address,
  };
}

/** Device on the bridge that leads to a node. */
export function nodeDevice(node: string): string {
  return `node${digest(`node ${node}`).toString("hex").slice(0, 8)}`;
}

/** The link of a pod: device name from its identity, MAC from its address as CNI's bridge plugin forms it. */
export function podLink(pod: { namespace: string; name: string }, address: string): PodLink {
  const octets = address.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
  return {
    address,
    device: `veth${digest(`pod ${pod.namespace}/${pod.name}`).toString("hex").slice(0, 8)}`,
    mac: `0a:58:${octets.join(":")}`,
  };
}

/** MTU of pod links and of the overlay device: what is left of the underlay's after encapsulation. */
export function podMtu(settings: NodeNetworkSettings): number {
  return settings.underlay.mtu - vxlanOverhead;
}

const quietDevices = {
  "net/ipv4/conf/all/rp_filter": "0",
  "net/ipv4/conf/default/rp_filter": "0",
  "net/ipv4/conf/all/send_redirects": "0",
  "net/ipv4/conf/default/send_redirects": "0",
  "net/ipv4/conf/all/accept_redirects": "0",
  "net/ipv4/conf/default/accept_redirects": "0",
};

/** To be set before any device exists, since new devices copy `default`. */
export const routerSysctls: Readonly<Record<string, string>> = {
  "net/ipv4/ip_forward": "1",
  ...quietDevices,
};

/** A pod's processes may bind any port, as containers may (containerd sets the same). */
export const podSysctls: Readonly<Record<string, string>> = {
  ...quietDevices,
  "net/ipv4/ip_unprivileged_port_start": "0",
};

/**
 * Left out where the kernel lacks them. Links are IPv4 only, so no router solicitation or duplicate address
 * detection delays them. Liberal tracking: a segment out of window must not be marked invalid and so escape
 * the reverse translation (kubernetes/kubernetes #74839).
 */
export const optionalSysctls: Readonly<Record<string, string>> = {
  "net/ipv6/conf/default/disable_ipv6": "1",
  "net/netfilter/nf_conntrack_tcp_be_liberal": "1",
};

/** Home namespace: the bridge, the nodes' ends of it, and routes to their pods. `path` is of the node's namespace. */
export function planUnderlay(
  settings: NodeNetworkSettings,
  nodes: readonly { readonly node: NodeIdentity; readonly path: string }[],
): string[] {
  const { bridge, address, prefix, mtu } = settings.underlay;
  return [
    `link add ${bridge} mtu ${mtu} type bridge`,
    `address add ${address}/${prefix} dev ${bridge}`,
    "link set lo up",
    `link set ${bridge} up`,
    ...nodes.flatMap(({ node, path }) => [
      `link add ${nodeDevice(node.name)} mtu ${mtu} type veth peer name ${underlayDevice} mtu ${mtu} netns ${path}`,
      `link set ${nodeDevice(node.name)} master ${bridge} up`,
      `route add ${node.podCIDR} via ${node.address} dev ${bridge}`,
    ]),
  ];
}

/**
 * A node's own devices and routes. Addresses of the pod network that nobody has are unreachable at once instead of
 * wandering to the gateway and back.
 */
export function planNode(node: NodeIdentity, settings: NodeNetworkSettings): string[] {
  const { address, prefix } = settings.underlay;
  return [
    "link set lo up",
    `address add ${node.address}/${prefix} dev ${underlayDevice}`,
    `link set ${underlayDevice} up`,
    `route add default via ${address} dev ${underlayDevice}`,
    ...settings.routes.map(({ to, via }) => `route add ${to} via ${via} dev ${underlayDevice}`),
    `link add ${overlayDevice} mtu ${podMtu(settings)} address ${vtepMac(node.name)} type vxlan id ${vxlanId} ` +
      `dstport ${vxlanPort} local ${node.address} dev ${underlayDevice} nolearning`,
    `address add ${vtepAddress(node.podCIDR)}/32 dev ${overlayDevice}`,
    `link set ${overlayDevice} up`,
    `route add unreachable ${node.podCIDR}`,
    `route add unreachable ${settings.podNetwork}`,
  ];
}

/** Masquerading in Flannel's order, and the evidence of how a connection's first packet left. */
export function planRules(node: NodeIdentity, settings: NodeNetworkSettings): string {
  const own = node.podCIDR;
  const all = settings.podNetwork;
  return `add table ip inroad-node
delete table ip inroad-node
table ip inroad-node {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    meta mark & 0x4000 == 0x4000 return comment "left to the Service proxy"
    ip saddr ${own} ip daddr ${all} return comment "pod to cluster"
    ip saddr ${all} ip daddr ${own} return comment "cluster to pod"
    ip saddr != ${own} ip daddr ${own} return comment "outside to pod keeps its source"
    ip saddr ${all} ip daddr != 224.0.0.0/4 masquerade fully-random comment "pod to outside"
    ip saddr != ${all} ip daddr ${all} masquerade fully-random comment "outside to a pod elsewhere"
  }
  chain evidence {
    type filter hook postrouting priority mangle; policy accept;
    ct state new oifname "${overlayDevice}" ct mark set ct mark | ${hex(leftByMark.overlay)} return
    ct state new oifname "veth*" ct mark set ct mark | ${hex(leftByMark.pod)} return
    ct state new oifname "${underlayDevice}" ct mark set ct mark | ${hex(leftByMark.underlay)} return
  }
}
`;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

export interface LinkPlan {
  /** Node namespace, for ip. */
  readonly node: readonly string[];
  /** Pod namespace, for ip, after the node's part. */
  readonly pod: readonly string[];
  /** Node namespace: takes it all away again. */
  readonly remove: readonly string[];
}

/** The veth pair of a pod. Both ends know their neighbour, so nothing waits for ARP. */
export function planPod(link: PodLink, mtu: number, path: string): LinkPlan {
  const { address, device, mac } = link;
  return {
    node: [
      `link add ${device} mtu ${mtu} address ${podGatewayMac} type veth ` +
        `peer name eth0 mtu ${mtu} address ${mac} netns ${path}`,
      `link set ${device} up`,
      `neighbour replace ${address} lladdr ${mac} dev ${device} nud permanent`,
      podRoute(link, "route replace "),
    ],
    pod: [
      "link set lo up",
      `address add ${address}/32 dev eth0`,
      "link set eth0 up",
      `neighbour replace ${podGateway} lladdr ${podGatewayMac} dev eth0 nud permanent`,
      `route add ${podGateway} dev eth0 scope link`,
      `route add default via ${podGateway} dev eth0`,
    ],
    remove: [`link delete ${device}`],
  };
}

/** The node's route to one of its pods, as `ip route` shows it. */
export function podRoute(link: Pick<PodLink, "address" | "device">, verb = ""): string {
  return `${verb}${link.address} dev ${link.device} scope link`;
}

/** The nodes that `self` can reach through the overlay: those that announced where their tunnel ends. */
export function planRemotes(snapshot: Snapshot, self: string): RemoteNode[] {
  return [...snapshot.nodes.values()].flatMap(({ name, address, podCIDR, vtepMac: mac }) =>
    name === self || mac === undefined || podCIDR === "" || address === ""
      ? []
      : [{ name, address, podCIDR, vtepMac: mac }],
  );
}

/** What `ip` and `bridge` set for a remote node: neighbour, then forwarding entry, then route, as Flannel does. */
export function planRemote(
  remote: RemoteNode,
): Record<"ip" | "bridge" | "removeIp" | "removeBridge", string[]> {
  const vtep = vtepAddress(remote.podCIDR);
  return {
    ip: [
      `neighbour replace ${vtep} lladdr ${remote.vtepMac} dev ${overlayDevice} nud permanent`,
      overlayRoute(remote, "route replace "),
    ],
    bridge: [`fdb replace ${remote.vtepMac} dev ${overlayDevice} dst ${remote.address} self permanent`],
    removeIp: [`route delete ${remote.podCIDR}`, `neighbour delete ${vtep} dev ${overlayDevice}`],
    removeBridge: [`fdb delete ${remote.vtepMac} dev ${overlayDevice} dst ${remote.address} self`],
  };
}

/** The route to a remote node's pods, as `ip route` shows it. */
export function overlayRoute(remote: Pick<RemoteNode, "podCIDR">, verb = ""): string {
  return `${verb}${remote.podCIDR} via ${vtepAddress(remote.podCIDR)} dev ${overlayDevice} onlink`;
}

/** First and last address that pods of a node get: `.0` is the tunnel end, `.1` stays free, the last is broadcast. */
export function podRange(podCIDR: string): { readonly first: number; readonly last: number } {
  const { base, size } = parseCidr(podCIDR);
  return { first: ipv4ToNumber(numberToIPv4(base)) + 2, last: base + size - 2 };
}

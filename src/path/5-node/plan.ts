/**
 * What must be on each node besides its overlay, rules and pods, as text for ip. Pure: the tracer reads the same lines as
 * predictions.
 */
import { createHash } from "node:crypto";
import { ipv4ToNumber, numberToIPv4, parseCidr } from "#lib/ip";
import type { NodeModel } from "#model";
import { nodeEnds, sameFamily } from "./families.ts";
import { overlays } from "./overlay.ts";
import { underlayDevice, type NodeNetworkSettings } from "./settings.ts";

/** What a node is by its place in the cluster. */
export type NodeIdentity = Pick<NodeModel, "name" | "address" | "addresses" | "podCIDR" | "podCIDRs">;

/** Device on the bridge that leads to a node. */
export function nodeDevice(node: string): string {
  return `node${createHash("sha256").update(`node ${node}`).digest("hex").slice(0, 8)}`;
}

/** MTU of pod links and of the overlay: what is left of the underlay's after encapsulation. */
export function podMtu({ underlay, overlay }: NodeNetworkSettings): number {
  return underlay.mtu - overlays[overlay].overhead;
}

/** Home namespace: the bridge that joins the nodes. */
export function planBridge({ underlay: { bridge, addresses, mtu } }: NodeNetworkSettings): string[] {
  return [
    `link add ${bridge} mtu ${mtu} type bridge`,
    ...addresses.map((address) => `address add ${address} dev ${bridge}`),
    "link set lo up",
    `link set ${bridge} up`,
  ];
}

/** Home namespace: a node's end of the bridge, and routes to its pods. `path` is of the node's namespace. */
export function planAttachment(node: NodeIdentity, path: string, settings: NodeNetworkSettings): string[] {
  const { bridge, mtu } = settings.underlay;
  const device = nodeDevice(node.name);
  return [
    `link add ${device} mtu ${mtu} type veth peer name ${underlayDevice} mtu ${mtu} netns ${path}`,
    `link set ${device} master ${bridge} up`,
    ...nodeEnds(node).map(({ podCIDR, address }) => `route add ${podCIDR} via ${address} dev ${bridge}`),
  ];
}

/** Home namespace: takes the attachment away. Routes over the bridge do not go with the node's device. */
export function planDetachment(node: NodeIdentity): string[] {
  return [
    ...nodeEnds(node).map(({ podCIDR }) => `route delete ${podCIDR}`),
    `link delete ${nodeDevice(node.name)}`,
  ];
}

/**
 * A node's own devices and routes. Addresses of the pod network that nobody has are unreachable at once instead of
 * wandering to the gateway and back.
 */
export function planNode(node: NodeIdentity, settings: NodeNetworkSettings): string[] {
  const ends = nodeEnds(node);
  const bridges = settings.underlay.addresses.map((text) => text.split("/"));
  const gatewayOf = (address: string) => bridges.find(([bridge = ""]) => sameFamily([bridge], address));
  return [
    "link set lo up",
    ...ends.map(({ address }) => `address add ${address}/${gatewayOf(address)?.[1]} dev ${underlayDevice}`),
    `link set ${underlayDevice} up`,
    ...ends.map(({ address }) => `route add default via ${gatewayOf(address)?.[0]} dev ${underlayDevice}`),
    ...settings.routes.map(({ to, via }) => `route add ${to} via ${via} dev ${underlayDevice}`),
    ...overlays[settings.overlay].device(node, podMtu(settings)),
    ...ends.map(({ podCIDR }) => `route add unreachable ${podCIDR}`),
    ...settings.podNetworks.map((network) => `route add unreachable ${network}`),
  ];
}

/** First and last address that pods of a node get: `.0` is the tunnel end, `.1` stays free, the last is broadcast. */
export function podRange(podCIDR: string): { readonly first: number; readonly last: number } {
  const { base, size } = parseCidr(podCIDR);
  return { first: ipv4ToNumber(numberToIPv4(base)) + 2, last: base + size - 2 };
}

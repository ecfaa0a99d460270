/** How pods of other nodes are reached: what both ways have to say, and which one a node uses. Pure. */
import type { NodeModel, Overlay, Snapshot } from "#model";
import type { NodeEnd } from "./families.ts";
import { hostGateway } from "./host-gw.ts";
import type { NodeIdentity } from "./plan.ts";
import { vxlan } from "./vxlan.ts";

/** A node as the others reach it. */
export type RemoteNode = Pick<NodeModel, "name" | "addresses" | "podCIDRs" | "vtepMac">;

/** Lines for `ip` and `bridge` that lead to a remote node's pods, and lines that take them away. */
type RemoteLines = Record<"ip" | "bridge" | "removeIp" | "removeBridge", string[]>;

export interface OverlayPlan {
  /** Bytes that it adds to every packet on the underlay. */
  readonly overhead: number;
  /** Node annotations by which other nodes learn of this one's end. */
  annotations(node: NodeIdentity): Record<string, string>;
  /** A node's own end: lines for `ip` once its underlay device is there. */
  device(node: NodeIdentity, mtu: number): string[];
  /** Whether a node has announced all that others need. */
  isAnnounced(node: Pick<NodeModel, "vtepMac">): boolean;
  remote(node: RemoteNode): RemoteLines;
  /** Lines for `ip` that make what goes to other nodes' pods no larger than an MTU. */
  resize(mtu: number, remotes: readonly RemoteNode[]): string[];
  /** The route to a remote node's pods of one family, as `ip route` shows it. */
  route(end: NodeEnd): string;
}

export const overlays: Readonly<Record<Overlay, OverlayPlan>> = { vxlan, "host-gw": hostGateway };

/** How a node's pods are reached; one that announced a tunnel end alone is one of VXLAN. */
export function overlayOf({ overlay, vtepMac }: Pick<NodeModel, "overlay" | "vtepMac">): Overlay | undefined {
  return overlay ?? (vtepMac === undefined ? undefined : "vxlan");
}

/** What two nodes must agree on. */
type Reachable = Pick<NodeModel, "name" | "overlay" | "vtepMac">;

/** Why one node has no route to the pods of another; undefined if it has. */
export function unreachedReason(self: Reachable, other: Reachable): string | undefined {
  const announced = overlayOf(other);
  if (announced === undefined || !overlays[announced].isAnnounced(other)) {
    return `node ${other.name} has not announced how its pods are reached`;
  }
  const own = overlayOf(self) ?? announced;
  return own === announced
    ? undefined
    : `node ${other.name} is reached by ${announced}, and ${self.name} only knows ${own}`;
}

/** The nodes whose pods `self` can reach by its overlay: those that announced the same. */
export function planRemotes(snapshot: Snapshot, self: string, overlay: Overlay): RemoteNode[] {
  return [...snapshot.nodes.values()].flatMap((node) =>
    node.name === self || unreachedReason({ name: self, overlay }, node) !== undefined
      ? []
      : [remoteOf(node)],
  );
}

function remoteOf({ name, addresses, podCIDRs, vtepMac }: NodeModel): RemoteNode {
  return { name, addresses, podCIDRs, ...(vtepMac === undefined ? {} : { vtepMac }) };
}

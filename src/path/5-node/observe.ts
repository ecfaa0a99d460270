/** What a node's kernel really did with one flow: its conntrack entry, the mark in it, the route it would take. */
import { conntrack, routeGet } from "#kernel";
import type { ConntrackEntry, ConntrackFilter, NetNs, RouteTo } from "#kernel";
import { leftByMark, overlayDevice, underlayDevice } from "./settings.ts";

export type LeftBy = keyof typeof leftByMark;

/**
 * How the first packet of a connection left the node, read from its conntrack mark: into the overlay, into a pod's
 * link, by the underlay. Undefined when it never left (the node itself was the end, or it was dropped before).
 */
export function leftBy(mark: number): LeftBy | undefined {
  if ((mark & leftByMark.overlay) !== 0) return "overlay";
  if ((mark & leftByMark.pod) !== 0) return "pod";
  return (mark & leftByMark.underlay) !== 0 ? "underlay" : undefined;
}

/** The same question for a route's device. */
export function leavesBy(device: string): LeftBy | undefined {
  if (device === overlayDevice) return "overlay";
  if (device === underlayDevice) return "underlay";
  return device.startsWith("veth") ? "pod" : undefined;
}

export interface NodeObservation {
  readonly entry: ConntrackEntry;
  readonly leftBy: LeftBy | undefined;
}

/** The connections of a node that match a flow's original direction. */
export async function observeFlow(ns: NetNs, filter: ConntrackFilter): Promise<NodeObservation[]> {
  const entries = await conntrack(ns, filter);
  return entries.map((entry) => ({ entry, leftBy: leftBy(entry.mark) }));
}

/** Where the node would send a packet for an address now. Throws `Unreachable` if nowhere. */
export function observeRoute(ns: NetNs, address: string): Promise<RouteTo> {
  return routeGet(ns, address);
}

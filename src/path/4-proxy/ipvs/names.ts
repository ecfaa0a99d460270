/** Names and marks of what IPVS mode makes on a node. */
import type { IpFamily, Protocol } from "#model";
import type { EndpointList } from "../plan.ts";
import { hash } from "../rotation.ts";

/** The dummy device that holds the Services' addresses: IPVS sees only what is for the node itself. */
export const DEVICE = "inroad-ipvs";

/** Every message to nft names one of these tables and no other. */
export function tableOf(family: IpFamily): string {
  return family === "IPv6" ? "ip6 inroad-proxy" : "ip inroad-proxy";
}

/**
 * Each list of endpoints is one virtual server, known by a mark of the packet, so that all addresses of a Service port
 * share it. Own marks have these bits; those of kube-proxy (0x4000, 0x8000) are never set.
 */
export const OWN_MARK = { mask: 0xfc00c000, value: 0x40000000 };

const PROTOCOLS: readonly Protocol[] = ["TCP", "UDP", "SCTP"];
const NUMBERS = 2 ** 22;

function markOf(protocol: Protocol, number: number): number {
  const spread = ((number >>> 14) << 16) | (number & 0x3fff);
  return OWN_MARK.value + PROTOCOLS.indexOf(protocol) * 2 ** 24 + spread;
}

/** The protocol of an own mark; undefined for marks of others. */
export function protocolOf(mark: number): Protocol | undefined {
  return (mark & OWN_MARK.mask) >>> 0 === OWN_MARK.value ? PROTOCOLS[(mark >>> 24) & 3] : undefined;
}

/**
 * A mark for each list, by its key: the one it had, else one that its key tells, so that the next proxy of the node finds
 * the same. Those of `before` stay taken.
 */
export function allotMarks(
  lists: Iterable<EndpointList>,
  before: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const marks = new Map(before);
  const taken = new Set(before.values());
  for (const { key, protocol } of lists) {
    if (marks.has(key)) continue;
    let number = hash(key) % NUMBERS;
    while (taken.has(markOf(protocol, number))) number = (number + 1) % NUMBERS;
    marks.set(key, markOf(protocol, number));
    taken.add(markOf(protocol, number));
  }
  return marks;
}

/** A rule of a NetworkPolicy in nft's words, for one family. */
import { createHash } from "node:crypto";
import type { IpFamily } from "#lib/ip";
import type { PolicyDirection, PolicyModel, PolicyPort, PolicyRule } from "#model";
import { blockRanges, merged } from "./ranges.ts";

/** nft's words of a family. */
export const words: Readonly<Record<IpFamily, { readonly ip: string; readonly address: string }>> = {
  IPv4: { ip: "ip", address: "ipv4_addr" },
  IPv6: { ip: "ip6", address: "ipv6_addr" },
};

/** The field that holds the pod's own address, and the one with the other end's. */
export function fieldsOf(direction: PolicyDirection): { readonly self: string; readonly peer: string } {
  return direction === "egress" ? { self: "saddr", peer: "daddr" } : { self: "daddr", peer: "saddr" };
}

/** The kernel takes 255 characters; names of policies may have 253 of their own. */
const LONGEST_NAME = 150;

/** `policy/default/allow-web`: the beginning of the names of all that belongs to a policy. */
function prefixOf({ namespace, name }: Pick<PolicyModel, "namespace" | "name">): string {
  const short =
    name.length <= LONGEST_NAME
      ? name
      : `${name.slice(0, LONGEST_NAME)}_${createHash("sha256").update(name).digest("hex").slice(0, 16)}`;
  return `policy/${namespace}/${short}`;
}

/** Set of the pods of the node that a policy selects. */
export function podsSet(policy: PolicyModel): string {
  return `${prefixOf(policy)}/pods`;
}

/** The chain of a policy's rules. */
export function chainOf(policy: PolicyModel, direction: PolicyDirection): string {
  return `${prefixOf(policy)}/${direction}`;
}

/** The chain in which the policies of a namespace are asked, and the set of its pods on the node that are isolated. */
export function isolationOf(namespace: string, direction: PolicyDirection): string {
  return `isolated/${namespace}/${direction}`;
}

/** Set of the peers' addresses that a rule looks up. */
export function peersSet(policy: PolicyModel, direction: PolicyDirection, rule: number): string {
  return `${prefixOf(policy)}/${direction}/${rule}/peers`;
}

/** Set of ADDRESS . PROTOCOL . PORT of the destinations that have the rule's named ports. */
export function namedPortsSet(policy: PolicyModel, direction: PolicyDirection, rule: number): string {
  return `${prefixOf(policy)}/${direction}/${rule}/ports`;
}

/**
 * What nft accepts for one rule of a policy, a line for each way to satisfy both its `from` or `to` and its `ports`. Addresses
 * of pods are elements of sets, so that these texts change only with the policy.
 */
export function ruleTexts(
  policy: PolicyModel,
  direction: PolicyDirection,
  index: number,
  family: IpFamily,
): string[] {
  const rule = policy.rules[direction]?.[index];
  if (rule === undefined) return [];
  const peers = peerMatches(rule, fieldsOf(direction).peer, family, peersSet(policy, direction, index));
  const ports = portMatches(rule.ports, family, namedPortsSet(policy, direction, index));
  return peers.flatMap((peer) => ports.map((port) => [peer, port, "accept"].filter(Boolean).join(" ")));
}

function peerMatches({ peers }: PolicyRule, field: string, family: IpFamily, set: string): string[] {
  if (peers === undefined) return [""];
  const { ip } = words[family];
  const ranges = blockRanges(peers.blocks, family);
  return [
    ...(peers.pods === undefined ? [] : [`${ip} ${field} @${set}`]),
    ...(ranges.length === 0 ? [] : [`${ip} ${field} { ${ranges.join(", ")} }`]),
  ];
}

function portMatches(ports: readonly PolicyPort[] | undefined, family: IpFamily, set: string): string[] {
  if (ports === undefined) return [""];
  const byProtocol = Map.groupBy(ports, ({ protocol }) => protocol.toLowerCase());
  const numbered = [...byProtocol].flatMap(([protocol, list]) => numberMatch(protocol, list));
  const named = ports.some(({ port }) => typeof port === "string");
  return named ? [...numbered, `${words[family].ip} daddr . meta l4proto . th dport @${set}`] : numbered;
}

function numberMatch(protocol: string, ports: readonly PolicyPort[]): string[] {
  if (ports.some(({ port }) => port === undefined)) return [`meta l4proto ${protocol}`];
  const ranges = ports.flatMap(({ port, endPort }) =>
    typeof port === "number" ? [{ first: BigInt(port), last: BigInt(endPort ?? port) }] : [],
  );
  if (ranges.length === 0) return [];
  const texts = merged(ranges).map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
  return [`${protocol} dport { ${texts.join(", ")} }`];
}

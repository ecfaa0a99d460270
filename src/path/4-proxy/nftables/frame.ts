/** The part of the table that is the same on every node: sets, maps, base chains. All Service data is in elements. */
import type { Protocol } from "#model";
import { IN_TABLE, MASQUERADE_MARK, endpointMapOf } from "./names.ts";

const PROTOCOLS: readonly Protocol[] = ["TCP", "UDP", "SCTP"];
const ADDRESS = "ip daddr . meta l4proto . th dport";
const ADDRESS_TYPE = "ipv4_addr . inet_proto . inet_service";
const MARK = `meta mark set meta mark or ${MASQUERADE_MARK}`;

const sets: Readonly<Record<string, string>> = {
  "pod-networks": "type ipv4_addr; flags interval;",
  "cluster-ips": "type ipv4_addr;",
  // Connections to these have their source rewritten: anybody's, or the node's own.
  "masquerade-everybody": `type ${ADDRESS_TYPE};`,
  "masquerade-node": `type ${ADDRESS_TYPE};`,
  // ADDRESS . ADDRESS of endpoints on this node.
  hairpin: "type ipv4_addr . ipv4_addr;",
};

const maps: Readonly<Record<string, string>> = {
  services: `type ${ADDRESS_TYPE} : verdict;`,
  // Goes first for pods and the node itself (externalTrafficPolicy Local).
  "services-inside": `type ${ADDRESS_TYPE} : verdict;`,
  "no-endpoints": `type ${ADDRESS_TYPE} : verdict;`,
  // The number is SLOT + the block of the list.
  ...Object.fromEntries(
    PROTOCOLS.map((protocol) => [
      endpointMapOf(protocol),
      `typeof numgen inc mod 2 : ip daddr . ${protocol.toLowerCase()} dport;`,
    ]),
  ),
};

/** Chains in an order in which each is defined before it is used. */
const chains: Readonly<Record<string, { readonly hook?: string; readonly rules: readonly string[] }>> = {
  "reject-it": {
    // A reset always arrives; ICMP errors are rate-limited by the kernel.
    rules: ["meta l4proto tcp reject with tcp reset", "reject"],
  },
  unserved: {
    rules: [`${ADDRESS} vmap @no-endpoints`, "ip daddr @cluster-ips goto reject-it"],
  },
  services: {
    rules: [
      `ip saddr != @pod-networks ip daddr @cluster-ips ${MARK}`,
      `${ADDRESS} @masquerade-everybody ${MARK}`,
      `${ADDRESS} @masquerade-node fib saddr type local ${MARK}`,
      `fib saddr type local ${ADDRESS} vmap @services-inside`,
      `ip saddr @pod-networks ${ADDRESS} vmap @services-inside`,
      `${ADDRESS} vmap @services`,
    ],
  },
  "filter-input": {
    hook: "type filter hook input priority 0;",
    rules: ["ct state new jump unserved"],
  },
  "filter-forward": {
    hook: "type filter hook forward priority 0;",
    rules: ["ct state new jump unserved"],
  },
  "filter-output": {
    hook: "type filter hook output priority 0;",
    rules: ["ct state new jump unserved"],
  },
  "nat-prerouting": {
    hook: "type nat hook prerouting priority -100;",
    rules: ["jump services"],
  },
  "nat-output": {
    hook: "type nat hook output priority -100;",
    rules: ["jump services"],
  },
  "nat-postrouting": {
    hook: "type nat hook postrouting priority 100;",
    rules: [
      `meta mark and ${MASQUERADE_MARK} != 0 ct status dnat meta mark set meta mark xor ${MASQUERADE_MARK} masquerade fully-random`,
      "ct status dnat ip saddr . ip daddr @hairpin masquerade fully-random",
    ],
  },
};

/** Number of rules in each static chain. */
export const frameRules: ReadonlyMap<string, number> = new Map(
  Object.entries(chains).map(([name, chain]) => [name, chain.rules.length]),
);

/** Makes the table anew and empty, in the words of nft 1.0.6 (which has no `destroy`). */
export const frameScript: string = [
  `add table ${IN_TABLE}`,
  `delete table ${IN_TABLE}`,
  `add table ${IN_TABLE}`,
  ...Object.entries(sets).map(([name, type]) => `add set ${IN_TABLE} ${name} { ${type} }`),
  ...Object.entries(maps).map(([name, type]) => `add map ${IN_TABLE} ${name} { ${type} }`),
  ...Object.entries(chains).map(
    ([name, chain]) => `add chain ${IN_TABLE} ${name}${chain.hook === undefined ? "" : ` { ${chain.hook} }`}`,
  ),
  ...Object.entries(chains).flatMap(([name, chain]) =>
    chain.rules.map((rule) => `add rule ${IN_TABLE} ${name} ${rule}`),
  ),
].join("\n");

/**
 * The part of a family's table that is the same on every node. All Service data is in elements: for a new connection they say
 * whether it is refused, else with which mark IPVS gets it, and whose source is rewritten.
 */
import type { IpFamily } from "#model";
import { OWN_MARK, tableOf } from "./names.ts";

interface Frame {
  readonly sets: Readonly<Record<string, string>>;
  readonly maps: Readonly<Record<string, string>>;
  readonly chains: Readonly<Record<string, { readonly hook?: string; readonly rules: readonly string[] }>>;
}

function frameOf(family: IpFamily): Frame {
  const [ip, type] = family === "IPv6" ? ["ip6", "ipv6_addr"] : ["ip", "ipv4_addr"];
  const place = `${ip} daddr . meta l4proto . th dport`;
  const placeType = `${type} . inet_proto . inet_service`;
  const led = `ct original ${ip} daddr . meta mark`;
  const own = `meta mark and 0x${OWN_MARK.mask.toString(16)} == 0x${OWN_MARK.value.toString(16)}`;
  return {
    sets: {
      "pod-networks": `type ${type}; flags interval;`,
      // What is on the dummy device: other ports there are refused.
      "service-ips": `type ${type};`,
      // Where ClusterIPs are taken from: one that nobody has leads nowhere.
      "service-networks": `type ${type}; flags interval;`,
      restricted: `type ${placeType};`,
      "source-ranges": `type ${placeType} . ${type}; flags interval;`,
      // Address and mark of connections whose source is rewritten: anybody's, anybody's but a pod's, the node's own.
      "masquerade-everybody": `type ${type} . mark;`,
      "masquerade-not-pods": `type ${type} . mark;`,
      "masquerade-node-only": `type ${type} . mark;`,
      hairpin: `type ${type} . ${type};`,
    },
    maps: {
      marks: `type ${placeType} : mark;`,
      refused: `type ${placeType} : verdict;`,
      // These go first for pods and the node itself (externalTrafficPolicy Local).
      "marks-inside": `type ${placeType} : mark;`,
      "refused-inside": `type ${placeType} : verdict;`,
    },
    chains: {
      "reject-it": { rules: ["meta l4proto tcp reject with tcp reset", "reject"] },
      outside: {
        rules: [
          `${place} vmap @refused`,
          `meta mark set ${place} map @marks accept`,
          `${ip} daddr @service-ips goto reject-it`,
          `${ip} daddr @service-networks drop`,
        ],
      },
      inside: {
        rules: [
          `${place} vmap @refused-inside`,
          `meta mark set ${place} map @marks-inside accept`,
          "goto outside",
        ],
      },
      services: {
        rules: [
          `${place} @restricted ${place} . ${ip} saddr != @source-ranges drop`,
          "fib saddr type local goto inside",
          `${ip} saddr @pod-networks goto inside`,
          "goto outside",
        ],
      },
      // IPVS looks at packets at priority 99 on the way in and at -98 on the way out.
      input: { hook: "type filter hook input priority 90;", rules: ["ct state new jump services"] },
      output: { hook: "type filter hook output priority -99;", rules: ["ct state new jump services"] },
      forward: {
        hook: "type filter hook forward priority 0;",
        rules: [`ct state new ${ip} daddr @service-networks drop`],
      },
      "nat-postrouting": {
        hook: "type nat hook postrouting priority 100;",
        rules: [
          `${led} @masquerade-everybody masquerade fully-random`,
          `${ip} saddr != @pod-networks ${led} @masquerade-not-pods masquerade fully-random`,
          `fib saddr type local ${led} @masquerade-node-only masquerade fully-random`,
          `${own} ${ip} saddr . ${ip} daddr @hairpin masquerade fully-random`,
        ],
      },
      // Nobody else is to meet the mark.
      "mark-end": {
        hook: "type filter hook postrouting priority 110;",
        rules: [`${own} meta mark set 0`],
      },
    },
  };
}

/** Number of rules in each chain. */
export function frameRules(family: IpFamily): ReadonlyMap<string, number> {
  const { chains } = frameOf(family);
  return new Map(Object.entries(chains).map(([name, { rules }]) => [name, rules.length]));
}

/** Makes the table anew and empty, in the words of nft 1.0.6. */
export function frameScript(family: IpFamily): string {
  const { sets, maps, chains } = frameOf(family);
  const table = tableOf(family);
  const all = Object.entries(chains);
  return [
    removalScript(family),
    `add table ${table}`,
    ...Object.entries(sets).map(([name, type]) => `add set ${table} ${name} { ${type} }`),
    ...Object.entries(maps).map(([name, type]) => `add map ${table} ${name} { ${type} }`),
    ...all.map(([name, { hook }]) => `add chain ${table} ${name}${hook === undefined ? "" : ` { ${hook} }`}`),
    ...all.flatMap(([name, { rules }]) => rules.map((rule) => `add rule ${table} ${name} ${rule}`)),
  ].join("\n");
}

/** Takes the table away, whether it is there or not. */
export function removalScript(family: IpFamily): string {
  return `add table ${tableOf(family)}\ndelete table ${tableOf(family)}`;
}

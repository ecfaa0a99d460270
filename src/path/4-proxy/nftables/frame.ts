/** The part of a table that is the same on every node: sets, maps, base chains. All Service data is in elements. */
import { hash } from "node:crypto";
import type { IpFamily, Protocol } from "#model";
import { MASQUERADE_MARK, endpointMaps, tableOf } from "./names.ts";

const PROTOCOLS: readonly Protocol[] = ["TCP", "UDP", "SCTP"];

interface Frame {
  readonly sets: Readonly<Record<string, string>>;
  readonly maps: Readonly<Record<string, string>>;
  /** In an order in which each chain is defined before it is used. */
  readonly chains: Readonly<Record<string, { readonly hook?: string; readonly rules: readonly string[] }>>;
}

/** What a family's words are: `ip saddr` and `ipv4_addr`, or `ip6 saddr` and `ipv6_addr`. */
interface Words {
  readonly ip: string;
  readonly type: string;
}

function wordsOf(family: IpFamily): Words {
  return family === "IPv4" ? { ip: "ip", type: "ipv4_addr" } : { ip: "ip6", type: "ipv6_addr" };
}

function frameOf(family: IpFamily): Frame {
  const words = wordsOf(family);
  return { sets: setsOf(words), maps: mapsOf(words), chains: { ...chainsOf(words), ...hooks } };
}

function setsOf({ type }: Words): Frame["sets"] {
  const address = `${type} . inet_proto . inet_service`;
  return {
    "pod-networks": `type ${type}; flags interval;`,
    "cluster-ips": `type ${type};`,
    "service-networks": `type ${type}; flags interval;`,
    // Connections to these have their source rewritten: anybody's, or the node's own.
    "masquerade-everybody": `type ${address};`,
    "masquerade-node": `type ${address};`,
    // Addresses that only some may connect to, and who may: ADDRESS . NETWORK.
    restricted: `type ${address};`,
    "let-in": `type ${address} . ${type}; flags interval;`,
    // ADDRESS . ADDRESS of endpoints on this node.
    hairpin: `type ${type} . ${type};`,
  };
}

function mapsOf({ ip, type }: Words): Frame["maps"] {
  const address = `${type} . inet_proto . inet_service`;
  return {
    services: `type ${address} : verdict;`,
    // Goes first for pods and the node itself (externalTrafficPolicy Local).
    "services-inside": `type ${address} : verdict;`,
    "no-endpoints": `type ${address} : verdict;`,
    // Where it is remembered which endpoint a client met; by the address that the client called.
    affinity: `type ${address} : verdict;`,
    "affinity-inside": `type ${address} : verdict;`,
    // The number is SLOT + the block of the list. The counters show how even the turns are.
    ...Object.fromEntries(
      PROTOCOLS.flatMap((protocol) => {
        const type = `typeof numgen inc mod 2 : ${ip} daddr . ${protocol.toLowerCase()} dport; counter;`;
        return endpointMaps(protocol).map((name) => [name, type]);
      }),
    ),
  };
}

function chainsOf({ ip }: Words): Frame["chains"] {
  const address = `${ip} daddr . meta l4proto . th dport`;
  const mark = `meta mark set meta mark or ${MASQUERADE_MARK}`;
  return {
    "reject-it": {
      // A reset always arrives; ICMP errors are rate-limited by the kernel.
      rules: ["meta l4proto tcp reject with tcp reset", "reject"],
    },
    firewall: {
      rules: [`${address} @restricted ${address} . ${ip} saddr != @let-in drop`],
    },
    unserved: {
      rules: [
        `${address} vmap @no-endpoints`,
        `${ip} daddr @cluster-ips goto reject-it`,
        `${ip} daddr @service-networks drop`,
      ],
    },
    // Packets come here with the endpoint as their destination; nft must know the protocol to look at the former port.
    remember: {
      rules: PROTOCOLS.flatMap((protocol) => {
        const called = `ct original ${ip} daddr . meta l4proto . ct original proto-dst`;
        const sent = `meta l4proto ${protocol.toLowerCase()}`;
        return [
          `${sent} fib saddr type local ${called} vmap @affinity-inside`,
          `${sent} ${ip} saddr @pod-networks ${called} vmap @affinity-inside`,
          `${sent} ${called} vmap @affinity`,
        ];
      }),
    },
    services: {
      rules: [
        `${ip} saddr != @pod-networks ${ip} daddr @cluster-ips ${mark}`,
        `${address} @masquerade-everybody ${mark}`,
        `${address} @masquerade-node fib saddr type local ${mark}`,
        `fib saddr type local ${address} vmap @services-inside`,
        `${ip} saddr @pod-networks ${address} vmap @services-inside`,
        `${address} vmap @services`,
      ],
    },
    "nat-postrouting": {
      hook: "type nat hook postrouting priority 100;",
      rules: [
        `meta mark and ${MASQUERADE_MARK} != 0 ct status dnat meta mark set meta mark xor ${MASQUERADE_MARK} masquerade fully-random`,
        `ct status dnat ${ip} saddr . ${ip} daddr @hairpin masquerade fully-random`,
      ],
    },
  };
}

const hooks: Frame["chains"] = {
  "firewall-prerouting": {
    hook: "type filter hook prerouting priority -110;",
    rules: ["ct state new jump firewall"],
  },
  "firewall-output": {
    hook: "type filter hook output priority -110;",
    rules: ["ct state new jump firewall"],
  },
  ...Object.fromEntries(
    ["input", "forward", "output"].map((hook) => [
      `filter-${hook}`,
      {
        hook: `type filter hook ${hook} priority 0;`,
        rules: ["ct state new jump unserved", "ct state new ct status dnat jump remember"],
      },
    ]),
  ),
  "nat-prerouting": {
    hook: "type nat hook prerouting priority -100;",
    rules: ["jump services"],
  },
  "nat-output": {
    hook: "type nat hook output priority -100;",
    rules: ["jump services"],
  },
};

/** An empty chain whose name tells which frame the table was made with. */
export const frameMark = `frame-${hash("sha256", JSON.stringify(frameOf("IPv4"))).slice(0, 12)}`;

/** Number of rules in each static chain; the same in both families. */
export const frameRules: ReadonlyMap<string, number> = new Map([
  ...Object.entries(frameOf("IPv4").chains).map(([name, chain]) => [name, chain.rules.length] as const),
  [frameMark, 0],
]);

/** The type of a list's affinity map: client to address. (nft 1.0.6 crashes at IPv6 addresses with a port.) */
export function affinityMapType(family: IpFamily): string {
  const { type } = wordsOf(family);
  return `type ${type} : ${type}; flags dynamic,timeout; size 65535;`;
}

/** Makes the table anew and empty, in the words of nft 1.0.6 (which has no `destroy`). */
export function frameScript(family: IpFamily): string {
  const table = tableOf(family);
  const { sets, maps, chains } = frameOf(family);
  return [
    `add table ${table}`,
    `delete table ${table}`,
    `add table ${table}`,
    `add chain ${table} ${frameMark}`,
    ...Object.entries(sets).map(([name, type]) => `add set ${table} ${name} { ${type} }`),
    ...Object.entries(maps).map(([name, type]) => `add map ${table} ${name} { ${type} }`),
    ...Object.entries(chains).map(
      ([name, { hook }]) => `add chain ${table} ${name}${hook === undefined ? "" : ` { ${hook} }`}`,
    ),
    ...Object.entries(chains).flatMap(([name, { rules }]) =>
      rules.map((rule) => `add rule ${table} ${name} ${rule}`),
    ),
  ].join("\n");
}

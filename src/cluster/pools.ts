/** The load balancer's address pools of a cluster, and which networks they must leave alone. Pure. */
import { familyOf } from "#lib/ip";
import { networksOf, parseRange, rangesOverlap, type AddressRange } from "#lib/ip-range";
import type { AddressPool, IpFamily } from "#model";
import { addresses, serviceCIDRs } from "./config.ts";

const defaultNetworks: Readonly<Record<IpFamily, string>> = {
  IPv4: "203.0.113.128/25",
  IPv6: "2001:db8:203:113:8000::/65",
};

/** The pool of clusters that are told of none. */
export function defaultPools(families: readonly IpFamily[]): AddressPool[] {
  const networks = families.map((family) => defaultNetworks[family]);
  return [{ name: "default", addresses: networks, autoAssign: true }];
}

/** What routes and rules of the pools are about: networks that do not overlap, since the pools do not. */
export function poolNetworks(pools: readonly AddressPool[]): string[] {
  const ranges = pools.flatMap(({ addresses: texts }) => texts.flatMap((text) => parseRange(text) ?? []));
  return ranges.flatMap(networksOf);
}

/** Networks that have another use in every cluster. */
export const otherNetworks: readonly (readonly [network: string, use: string])[] = [
  [addresses.underlay, "the nodes"],
  ["fd00:172:30::/64", "the nodes"],
  ["10.244.0.0/16", "the pods"],
  ["fd00:10:244::/56", "the pods"],
  ...serviceCIDRs(["IPv4", "IPv6"]).map((network) => [network, "the Services"] as const),
  ["203.0.113.0/25", "the clients outside"],
  ["2001:db8:203:113::/65", "the clients outside"],
  [addresses.hostLinks, "links to the host"],
  // RFC 6890: of one host, one link, or nobody.
  ["0.0.0.0/8", "hosts without an address"],
  ["127.0.0.0/8", "loopback"],
  ["169.254.0.0/16", "link-local addresses"],
  ["224.0.0.0/3", "multicast and what is reserved"],
  ["::/127", "loopback"],
  ["::ffff:0:0/96", "IPv4 in IPv6"],
  ["fe80::/10", "link-local addresses"],
  ["ff00::/8", "multicast"],
];

interface Used {
  readonly range: AddressRange;
  readonly by: string;
}

/**
 * The first thing that is wrong with pools, `pools[0].addresses[1]: ...`; undefined if they can be used.
 * @param families of the cluster, the primary one first
 */
export function poolProblem(
  pools: readonly AddressPool[],
  families: readonly IpFamily[],
): string | undefined {
  const used: Used[] = otherNetworks.flatMap(([network, use]) => {
    const range = parseRange(network);
    return range === undefined ? [] : [{ range, by: `${network} of ${use}` }];
  });
  for (const [i, { name, addresses: texts }] of pools.entries()) {
    const twin = pools.findIndex((other) => other.name === name);
    if (twin < i) return `pools[${i}].name: ${name} is the name of pools[${twin}], too`;
    for (const [j, text] of texts.entries()) {
      const at = `pools[${i}].addresses[${j}]`;
      const range = parseRange(text);
      const problem = range === undefined ? notation(text) : placeProblem(range, families, used);
      if (range === undefined || problem !== undefined) return `${at}: ${text} ${problem}`;
      used.push({ range, by: `${text} of pool ${name}` });
    }
  }
  return withoutChoice(pools, families);
}

function notation(text: string): string {
  return text.includes("/")
    ? "is no network: an address whose bits after the prefix are zero is expected, such as 203.0.113.128/25"
    : "is no range: first and last address of one family are expected, such as 203.0.113.200-203.0.113.210";
}

function placeProblem(
  range: AddressRange,
  families: readonly IpFamily[],
  used: readonly Used[],
): string | undefined {
  if (!families.includes(range.family)) {
    return `is of ${range.family}, and the cluster is not: start it with --ip-families dual`;
  }
  const other = used.find((one) => rangesOverlap(one.range, range));
  return other && `overlaps ${other.by}`;
}

/** The ingress asks for no pool. */
function withoutChoice(pools: readonly AddressPool[], [family]: readonly IpFamily[]): string | undefined {
  const choice = pools.some(
    ({ addresses: texts, autoAssign }) => autoAssign && texts.some((text) => familyOf(text) === family),
  );
  return choice ? undefined : `pools: one must have ${family} addresses and autoAssign, for the ingress`;
}

/** The plan as nftables rules and routes of the edge, one table for each address family. Pure text. */
import { createHash } from "node:crypto";
import { familyOf, type IpFamily } from "#lib/ip";
import { maglevTable } from "./maglev.ts";
import type { LoadBalancerPlan, VipPort } from "./plan.ts";

const words: Readonly<Record<IpFamily, { readonly ip: string; readonly type: string }>> = {
  IPv4: { ip: "ip", type: "ipv4_addr" },
  IPv6: { ip: "ip6", type: "ipv6_addr" },
};

/** `ip inroad-lb`, `ip6 inroad-lb`. */
function tableOf(family: IpFamily): string {
  return `${words[family].ip} inroad-lb`;
}

/** Marks of nodes; a mark is never used for another node, because old connections still bear it. */
export type Marks = ReadonlyMap<string, number>;

/** Adds marks for nodes that have none: 1, 2, 3 ... */
export function markNodes(known: Marks, names: readonly string[]): Marks {
  const marks = new Map(known);
  for (const name of names) if (!marks.has(name)) marks.set(name, marks.size + 1);
  return marks;
}

/** Ports of the edge itself that accept the connections of an address and port (`vipKey`). */
export type Accepting = ReadonlyMap<string, number>;

/** What the table must contain, by name, so that only what differs is written. */
export interface Rules {
  /** Chain -> its rules. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  /** Address, protocol and port -> chain. */
  readonly choose: ReadonlyMap<string, string>;
  readonly vips: ReadonlySet<string>;
  /** Marks of nodes that are gone. */
  readonly gone: ReadonlySet<string>;
  /** Address and port -> port of the edge. */
  readonly accepted: ReadonlyMap<string, string>;
}

export const noRules: Rules = {
  chains: new Map(),
  choose: new Map(),
  vips: new Set(),
  gone: new Set(),
  accepted: new Map(),
};

/** The rules for the addresses of one family. */
export function renderRules(
  plan: LoadBalancerPlan,
  marks: Marks,
  family: IpFamily = "IPv4",
  accepting: Accepting = new Map(),
): Rules {
  const ports = plan.ports.filter(({ address }) => familyOf(address) === family);
  const present = new Set(plan.nodes.map((node) => node.name));
  const gone = [...marks].filter(([name]) => plan.gone.includes(name) || !present.has(name));
  const chains = ports.map((port) => ({ port, ...chainOf(port, marks) }));
  return {
    chains: new Map(chains.map(({ name, rules }) => [name, rules])),
    choose: new Map(chains.map(({ port, name }) => [vipKey(port), `goto ${name}`])),
    vips: new Set(ports.map((port) => port.address)),
    gone: new Set(gone.map(([, mark]) => String(mark))),
    accepted: new Map(ports.flatMap((port) => acceptedAt(port, accepting))),
  };
}

function acceptedAt(port: VipPort, accepting: Accepting): (readonly [string, string])[] {
  const own = accepting.get(vipKey(port));
  return own === undefined ? [] : [[`${port.address} . ${port.port}`, String(own)]];
}

/** `203.0.113.128 . tcp . 80`, as nft writes it. */
export function vipKey({ address, protocol, port }: VipPort): string {
  return `${address} . ${protocol.toLowerCase()} . ${port}`;
}

interface Chain {
  readonly name: string;
  readonly rules: readonly string[];
}

/** Where connections to an address and port go: the mark of the next healthy node, or a refusal when there is none. */
function chainOf(port: VipPort, marks: Marks): Chain {
  const nodes = port.candidates.filter(({ eligible }) => eligible).map(({ name }) => name);
  if (nodes.length > 0 && port.proxy !== undefined) return { name: "accept-here", rules: ["accept"] };
  if (nodes.length > 0 && port.algorithm !== "round-robin") return hashChain(port, nodes, marks);
  const name = `vip-${port.address.replaceAll(/[.:]/g, "-")}-${port.protocol.toLowerCase()}-${port.port}`;
  return { name, rules: nodes.length === 0 ? ["goto refuse"] : markRules("numgen inc", nodes, marks) };
}

/**
 * Ports with the same nodes share a chain: a table of hashes is large. The seed is fixed, since a rule that is written anew
 * must not choose anew.
 */
function hashChain({ algorithm, address }: VipPort, nodes: readonly string[], marks: Marks): Chain {
  const { ip } = words[familyOf(address)];
  const digest = createHash("sha256").update(nodes.join()).digest("hex").slice(0, 16);
  const hashed = algorithm === "source-hash" ? `${ip} saddr` : `${ip} saddr . th sport`;
  const rules = markRules(`jhash ${hashed}`, maglevTable(nodes), marks, " seed 0x0");
  return { name: `${algorithm}-${digest}`, rules };
}

/**
 * A packet that is at the first rule while the rules change finds its map empty (docs/decisions/0002-round-robin-rules.md):
 * so the second one gives it a node, too, without a map.
 */
function markRules(number: string, slots: readonly string[], marks: Marks, more = ""): readonly string[] {
  const markOf = (name = ""): string => String(marks.get(name) ?? 0);
  const elements = slots.map((name, slot) => `${slot} : ${markOf(name)}`).join(", ");
  const set = (value: string): string => `ct mark set ${value} meta mark set ct mark accept`;
  return [set(`${number} mod ${slots.length}${more} map { ${elements} }`), set(markOf(slots[0]))];
}

/**
 * The fixed part. Only packets of the client's direction are steered: the answers come back from the node and go out by
 * the main table. A connection keeps its node by its conntrack mark. If that node is gone, TCP is reset, so that
 * the client connects anew, and what begins anew gets another node. Connections that are not routed, but end here, come to a port
 * of the edge.
 * @param pools networks of both families that do not overlap
 */
export function baseScript(family: IpFamily, pools: readonly string[]): string {
  const { ip, type } = words[family];
  const table = tableOf(family);
  const own = pools.filter((pool) => familyOf(pool) === family);
  return `add table ${table}
delete table ${table}
table ${table} {
  map choose { type ${type} . inet_proto . inet_service : verdict; }
  map accepted { type ${type} . inet_service : inet_service; }
  set vips { type ${type}; }
  set gone { type mark; }
  chain refuse {
    meta l4proto tcp reject with tcp reset
    reject
  }
  chain prerouting {
    type filter hook prerouting priority mangle; policy accept;
    ct direction reply accept
    ct status dnat accept
    ct mark @gone tcp flags & (syn | ack) != syn goto refuse
    ct mark != 0 ct mark != @gone meta mark set ct mark accept
    ${ip} daddr . meta l4proto . th dport vmap @choose
    ${ip} daddr @vips goto refuse
    ${own.length === 0 ? "" : `${ip} daddr { ${own.join(", ")} } goto refuse`}
  }
  chain here {
    type nat hook prerouting priority dstnat; policy accept;
    meta l4proto tcp redirect to :${ip} daddr . tcp dport map @accepted
  }
}
`;
}

/** One transaction that turns the rules `have` into `want`; empty when they are equal. */
export function changeScript(have: Rules, want: Rules, family: IpFamily = "IPv4"): string {
  const table = tableOf(family);
  const lines: string[] = [];
  for (const [chain, rules] of want.chains) {
    if (have.chains.get(chain)?.join("\n") === rules.join("\n")) continue;
    lines.push(`add chain ${table} ${chain}`, `flush chain ${table} ${chain}`);
    lines.push(...rules.map((rule) => `add rule ${table} ${chain} ${rule}`));
  }
  const elements = (verb: string, set: string, items: readonly string[]): void => {
    if (items.length > 0) lines.push(`${verb} element ${table} ${set} { ${items.join(", ")} }`);
  };
  for (const map of ["choose", "accepted"] as const) {
    elements("delete", map, differing(have[map], want[map]));
    const added = differing(want[map], have[map]).map((key) => `${key} : ${want[map].get(key)}`);
    elements("add", map, added);
  }
  for (const set of ["vips", "gone"] as const) {
    elements("delete", set, without(have[set], want[set]));
    elements("add", set, without(want[set], have[set]));
  }
  for (const chain of without(have.chains, want.chains)) {
    lines.push(`flush chain ${table} ${chain}`, `delete chain ${table} ${chain}`);
  }
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

/** Keys that the other map does not have with the same value. */
function differing(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): string[] {
  return [...a].filter(([key, value]) => b.get(key) !== value).map(([key]) => key);
}

function without(
  a: ReadonlyMap<string, unknown> | ReadonlySet<string>,
  b: { has(key: string): boolean },
): string[] {
  return [...a.keys()].filter((key) => !b.has(key));
}

const firstTable = 100;
const firstPriority = 1000;

/** `ip` lines that send packets of a family with a node's mark to the node. */
export function routeLines(
  mark: number,
  address: string | undefined,
  previous: string | undefined,
  family: IpFamily = "IPv4",
): string[] {
  const [option, everything] = family === "IPv4" ? ["", "0.0.0.0/0"] : ["-6 ", "::/0"];
  const routes = firstTable + mark;
  const rule = `fwmark ${mark} lookup ${routes} priority ${firstPriority + mark}`;
  if (address === previous) return [];
  if (address === undefined)
    return [`${option}rule del ${rule}`, `route delete ${everything} table ${routes}`];
  const route = `route replace default via ${address} dev eth0 table ${routes}`;
  return previous === undefined ? [route, `${option}rule add ${rule}`] : [route];
}

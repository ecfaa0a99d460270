/**
 * From a plan to the words of `iptables-restore --noflush`: pure. The same plan as for nftables, in chains of our own.
 *
 * Chains are rewritten whole, and only when they change: rewriting sets the `statistic` counters of a chain to zero.
 * The two dispatch chains hold one rule per address in no order, so there single rules are added and deleted.
 */
import { inChunks } from "../backend.ts";
import type { EndpointList, FamilyPlan, VirtualAddress } from "../plan.ts";
import {
  MARK,
  MARK_OUTSIDE,
  POSTROUTING,
  SERVICES,
  UNSERVED,
  externalChain,
  listChain,
  slotChain,
} from "./names.ts";

/** Largest text given to iptables-restore at once, in bytes; its netlink messages are four times as large. */
const LARGEST_TRANSACTION = 25_000;

export type Table = "nat" | "filter";

/** Where our chains hang in everybody's chains: `-A CHAIN REST`. */
export const jumps: readonly { readonly table: Table; readonly chain: string; readonly rest: string }[] = [
  { table: "nat", chain: "PREROUTING", rest: `-j ${SERVICES}` },
  { table: "nat", chain: "OUTPUT", rest: `-j ${SERVICES}` },
  { table: "nat", chain: "POSTROUTING", rest: `-j ${POSTROUTING}` },
  { table: "filter", chain: "INPUT", rest: `-m conntrack --ctstate NEW -j ${UNSERVED}` },
  { table: "filter", chain: "FORWARD", rest: `-m conntrack --ctstate NEW -j ${UNSERVED}` },
  { table: "filter", chain: "OUTPUT", rest: `-m conntrack --ctstate NEW -j ${UNSERVED}` },
];

/** The content of our chains. */
export interface Rules {
  /** By chain, in order. */
  readonly nat: ReadonlyMap<string, readonly string[]>;
  /** Dispatch rules, in no order: nat INROAD-SERVICES and filter INROAD-UNSERVED. */
  readonly services: ReadonlySet<string>;
  readonly unserved: ReadonlySet<string>;
}

export const noRules: Rules = { nat: new Map(), services: new Set(), unserved: new Set() };

/** The rules that a plan asks for. */
export function rulesFor(plan: FamilyPlan): Rules {
  const nat = new Map<string, readonly string[]>([
    [MARK, ["-j MARK --or-mark 0x4000"]],
    [MARK_OUTSIDE, [...plan.podNetworks.map((cidr) => `-s ${cidr} -j RETURN`), `-j ${MARK}`]],
    [
      POSTROUTING,
      [
        "-m mark ! --mark 0x4000/0x4000 -j RETURN",
        "-j MARK --xor-mark 0x4000",
        "-j MASQUERADE --random-fully",
      ],
    ],
  ]);
  const services = new Set<string>();
  const unserved = new Set<string>();
  const clusterIPs = clusterIPsByList(plan);
  const local = new Set(plan.hairpin);
  for (const list of plan.lists.values()) addList(nat, list, clusterIPs.get(list.key) ?? [], local);
  for (const at of plan.addresses.values()) {
    const where = whereOf(at);
    if (at.target.kind === "reject") unserved.add(`${where} -j ${rejectOf(at)}`);
    if (at.target.kind === "drop") unserved.add(`${where} -j DROP`);
    const entry = entryOf(at);
    if (entry === undefined) continue;
    services.add(`${where} -m comment --comment "${at.servicePort} ${at.kind}" -g ${entry}`);
    if (entry === externalChain(at.servicePort)) nat.set(entry, externalRules(plan, at));
  }
  return { nat, services, unserved };
}

function rejectOf(at: VirtualAddress): string {
  return `REJECT --reject-with ${at.protocol === "TCP" ? "tcp-reset" : "icmp-port-unreachable"}`;
}

function whereOf(at: VirtualAddress): string {
  const protocol = at.protocol.toLowerCase();
  return `-d ${at.address}/32 -p ${protocol} -m ${protocol} --dport ${at.port}`;
}

/** The chain that an address leads to, if it leads anywhere for anybody. */
function entryOf(at: VirtualAddress): string | undefined {
  if (at.kind !== "ClusterIP") {
    return at.target.kind === "list" || at.inside?.kind === "list"
      ? externalChain(at.servicePort)
      : undefined;
  }
  return at.target.kind === "list" ? listChain(at.target.list) : undefined;
}

function externalRules(plan: FamilyPlan, at: VirtualAddress): readonly string[] {
  const target = at.target.kind === "list" ? [`-g ${listChain(at.target.list)}`] : [];
  if (at.masquerade === "everybody") return [`-j ${MARK}`, ...target];
  const inside = at.inside?.kind === "list" ? listChain(at.inside.list) : undefined;
  if (inside === undefined) return target;
  return [
    ...plan.podNetworks.map((cidr) => `-s ${cidr} -g ${inside}`),
    `-m addrtype --src-type LOCAL -j ${MARK}`,
    `-m addrtype --src-type LOCAL -g ${inside}`,
    ...target,
  ];
}

/**
 * The chain of a list and those of its slots. Rule i of N takes the first of every N - i connections that come to it
 * (`--mode nth --packet 0`), the last takes the rest: so connection k goes to slot k mod N.
 */
function addList(
  nat: Map<string, readonly string[]>,
  list: EndpointList,
  clusterIPs: readonly string[],
  local: ReadonlySet<string>,
): void {
  const marks = clusterIPs.map((address) => `-d ${address}/32 -j ${MARK_OUTSIDE}`);
  const turns = list.slots.map((_, slot) => {
    const left = list.slots.length - slot;
    const turn = left === 1 ? "" : `-m statistic --mode nth --every ${left} --packet 0 `;
    return `${turn}-j ${slotChain(list.key, slot)}`;
  });
  nat.set(listChain(list.key), [...marks, ...turns]);
  const protocol = list.protocol.toLowerCase();
  list.slots.forEach(({ address, port }, slot) => {
    nat.set(slotChain(list.key, slot), [
      ...(local.has(address) ? [`-s ${address}/32 -j ${MARK}`] : []),
      `-p ${protocol} -m ${protocol} -j DNAT --to-destination ${address}:${port}`,
    ]);
  });
}

function clusterIPsByList(plan: FamilyPlan): ReadonlyMap<string, readonly string[]> {
  const byList = new Map<string, string[]>();
  for (const { kind, target, address } of plan.addresses.values()) {
    if (kind !== "ClusterIP" || target.kind !== "list") continue;
    byList.set(target.list, [...(byList.get(target.list) ?? []), address]);
  }
  return byList;
}

/** Texts for iptables-restore that turn `before` into `after`; each is one transaction and leaves valid rules. */
export function renderChange(before: Rules, after: Rules): readonly string[] {
  return textsOf(changePieces(before, after));
}

/**
 * Texts that put `after` in force whatever is there of ours, and touch nothing else.
 * @param leftover own chains of the nat table that exist.
 * @param missing the jumps that are not there yet.
 */
export function renderAll(
  after: Rules,
  leftover: readonly string[],
  missing: readonly (typeof jumps)[number][],
): readonly string[] {
  const stale = leftover.filter((name) => name !== SERVICES && !after.nat.has(name));
  const emptied: Piece = {
    chains: [
      { table: "nat", name: SERVICES, rules: [] },
      { table: "filter", name: UNSERVED, rules: [] },
    ],
    lines: [],
  };
  const hung = missing.map(({ table, chain, rest }) => line(table, `-A ${chain} ${rest}`));
  return textsOf([emptied, ...changePieces(noRules, after), ...hung, ...deletion("nat", stale)]);
}

/** The texts that take everything of ours away: `own` chains of each table, and the jumps that are there. */
export function renderRemoval(
  own: Readonly<Record<Table, readonly string[]>>,
  hung: typeof jumps,
): readonly string[] {
  return textsOf([
    ...hung.map(({ table, chain, rest }) => line(table, `-D ${chain} ${rest}`)),
    ...deletion("nat", own.nat),
    ...deletion("filter", own.filter),
  ]);
}

/** What belongs into one transaction: whole chains, or single lines. */
interface Piece {
  readonly chains: readonly {
    readonly table: Table;
    readonly name: string;
    readonly rules: readonly string[];
  }[];
  readonly lines: readonly { readonly table: Table; readonly text: string }[];
}

function line(table: Table, text: string): Piece {
  return { chains: [], lines: [{ table, text }] };
}

/** Targets come before what leads to them, and what nothing leads to any more comes last. */
function changePieces(before: Rules, after: Rules): readonly Piece[] {
  const changed = [...after.nat].filter(([name, rules]) => !sameRules(before.nat.get(name), rules));
  return [
    ...grouped(changed),
    ...difference(before.services, after.services).map((rule) => line("nat", `-D ${SERVICES} ${rule}`)),
    ...difference(after.services, before.services).map((rule) => line("nat", `-A ${SERVICES} ${rule}`)),
    ...difference(before.unserved, after.unserved).map((rule) => line("filter", `-D ${UNSERVED} ${rule}`)),
    ...difference(after.unserved, before.unserved).map((rule) => line("filter", `-A ${UNSERVED} ${rule}`)),
    ...deletion(
      "nat",
      [...before.nat.keys()].filter((name) => !after.nat.has(name)),
    ),
  ];
}

/** A list's chain changes together with its slots' chains, which follow it in the map. */
function grouped(changed: readonly (readonly [string, readonly string[]])[]): readonly Piece[] {
  const groups: { table: Table; name: string; rules: readonly string[] }[][] = [[]];
  for (const [name, rules] of changed) {
    if (/^INROAD-(?:SVC|EXT)-/.test(name)) groups.push([]);
    groups.at(-1)?.push({ table: "nat", name, rules });
  }
  return groups.filter((chains) => chains.length > 0).flatMap(wholeOrSlotsFirst);
}

/** A list of hundreds of endpoints does not fit into one transaction: then its slots change before its order. */
function wholeOrSlotsFirst(chains: Piece["chains"]): readonly Piece[] {
  const whole = { chains, lines: [] };
  if (sizeOf(whole) <= LARGEST_TRANSACTION) return [whole];
  return [...chains].reverse().map((chain) => ({ chains: [chain], lines: [] }));
}

function deletion(table: Table, names: readonly string[]): readonly Piece[] {
  return ["-F", "-X"].flatMap((verb) => names.map((name) => line(table, `${verb} ${name}`)));
}

function textsOf(pieces: readonly Piece[]): readonly string[] {
  return inChunks(pieces, sizeOf, LARGEST_TRANSACTION).map(
    (chunk) => textOf(chunk, "nat") + textOf(chunk, "filter"),
  );
}

function sizeOf(piece: Piece): number {
  const rules = piece.chains.flatMap(({ name, rules }) =>
    rules.map((rule) => name.length + rule.length + 12),
  );
  const lines = piece.lines.map(({ text }) => text.length + 1);
  return [...rules, ...lines].reduce((sum, size) => sum + size, 0) + 50 * piece.chains.length;
}

function textOf(pieces: readonly Piece[], table: Table): string {
  const chains = pieces.flatMap((piece) => piece.chains).filter((chain) => chain.table === table);
  const lines = pieces.flatMap((piece) => piece.lines).filter((piece) => piece.table === table);
  return tableText(table, [
    ...chains.map(({ name }) => `:${name} - [0:0]`),
    ...chains.flatMap(({ name, rules }) => rules.map((rule) => `-A ${name} ${rule}`)),
    ...lines.map(({ text }) => text),
  ]);
}

/** One table's part of a restore text; empty without lines. */
function tableText(table: Table, lines: readonly string[]): string {
  return lines.length === 0 ? "" : `*${table}\n${lines.join("\n")}\nCOMMIT\n`;
}

function sameRules(some: readonly string[] | undefined, others: readonly string[]): boolean {
  return some?.length === others.length && some.every((rule, index) => rule === others[index]);
}

function difference(some: ReadonlySet<string>, others: ReadonlySet<string>): readonly string[] {
  return [...some].filter((rule) => !others.has(rule));
}

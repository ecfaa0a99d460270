/**
 * The difference between two states of our chains as texts for `iptables-restore --noflush`: pure.
 *
 * Chains are rewritten whole, and only when they change: rewriting sets the `statistic` counters of a chain to zero.
 * The two dispatch chains hold one rule per address in no order, so there single rules are added and deleted.
 */
import { inChunks } from "../backend.ts";
import { dispatchOf, jumps, noRules } from "./rules.ts";
import type { Rules, Table } from "./rules.ts";

/**
 * Largest text given to iptables-restore at once, in bytes, for rules in nf_tables: its netlink messages are four times as
 * large. The older tables are replaced as a whole each time, so there one text is best, whatever its size.
 */
const LARGEST_TRANSACTION = 25_000;

/** Turns that a chain which is too large for one transaction is begun with. */
const LAST_TURNS = 100;

const TABLES = ["nat", "filter"] as const;

/** What is there of ours. */
export interface Own {
  readonly rules: Rules;
  readonly hung: typeof jumps;
  /** Tables that have our dispatch chain. */
  readonly declared: readonly Table[];
}

export const nothingOwn: Own = { rules: noRules, hung: [], declared: [] };

/**
 * Texts for iptables-restore that turn `before` into `after`; each is one transaction and leaves valid rules.
 * @param largest bytes of a text, unless what belongs together is larger
 */
export function renderChange(
  before: Own,
  after: Rules,
  largest: number = LARGEST_TRANSACTION,
): readonly string[] {
  // Only where they are missing: declaring a chain empties it.
  const undeclared = TABLES.filter((table) => !before.declared.includes(table));
  const start = {
    chains: undeclared.map((table) => ({ table, name: dispatchOf[table], rules: [] })),
    lines: [],
  };
  const missing = jumps.filter((jump) => !before.hung.includes(jump));
  const hung = missing.map(({ table, chain, rest }) => line(table, `-A ${chain} ${rest}`));
  const pieces = changePieces(before.rules, after, largest);
  return textsOf([...(undeclared.length === 0 ? [] : [start]), ...pieces, ...hung], largest);
}

/** The texts that take everything of ours away. */
export function renderRemoval({ rules, hung, declared }: Own): readonly string[] {
  return textsOf([
    ...hung.map(({ table, chain, rest }) => line(table, `-D ${chain} ${rest}`)),
    ...TABLES.flatMap((table) =>
      deletion(table, [
        ...(declared.includes(table) ? [dispatchOf[table]] : []),
        ...rules[table].chains.keys(),
      ]),
    ),
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
function changePieces(before: Rules, after: Rules, largest: number): readonly Piece[] {
  return [
    ...TABLES.flatMap((table) => grouped(table, changedChains(before[table], after[table]), largest)),
    ...TABLES.flatMap((table) => dispatchPieces(table, before[table].dispatch, after[table].dispatch)),
    ...TABLES.flatMap((table) =>
      deletion(
        table,
        [...before[table].chains.keys()].filter((name) => !after[table].chains.has(name)),
      ),
    ),
  ];
}

function changedChains(before: Rules[Table], after: Rules[Table]): (readonly [string, readonly string[]])[] {
  return [...after.chains].filter(([name, rules]) => !sameRules(before.chains.get(name), rules));
}

function dispatchPieces(
  table: Table,
  before: ReadonlySet<string>,
  after: ReadonlySet<string>,
): readonly Piece[] {
  const chain = dispatchOf[table];
  return [
    ...difference(before, after).map((rule) => line(table, `-D ${chain} ${rule}`)),
    ...difference(after, before).map((rule) => line(table, `-A ${chain} ${rule}`)),
  ];
}

/** A list's chain changes together with its slots' chains, which follow it in the map. */
function grouped(
  table: Table,
  changed: readonly (readonly [string, readonly string[]])[],
  largest: number,
): readonly Piece[] {
  const groups: { table: Table; name: string; rules: readonly string[] }[][] = [[]];
  for (const [name, rules] of changed) {
    if (/^INROAD-(?:SVC|EXT|FW)-/.test(name)) groups.push([]);
    groups.at(-1)?.push({ table, name, rules });
  }
  return groups.filter((chains) => chains.length > 0).flatMap((chains) => wholeOrSlotsFirst(chains, largest));
}

/** A list of hundreds of endpoints does not fit into one transaction: then its slots change before its order. */
function wholeOrSlotsFirst(chains: Piece["chains"], largest: number): readonly Piece[] {
  const whole = { chains, lines: [] };
  if (sizeOf(whole) <= largest) return [whole];
  return [...chains].reverse().flatMap((chain) => lastTurnsFirst(chain, largest));
}

/**
 * A chain of thousands of turns is begun with the last ones, and the others are put before them: every turn takes its share of
 * what those before it left, so the last ones by themselves are a whole order, of fewer endpoints.
 */
function lastTurnsFirst(chain: Piece["chains"][number], largest: number): readonly Piece[] {
  const { table, name, rules } = chain;
  const whole = { chains: [chain], lines: [] };
  const head = rules.findIndex(isTurn);
  if (head === -1 || sizeOf(whole) <= largest) return [whole];
  const others = rules.slice(head, -LAST_TURNS);
  const begun = [...rules.slice(0, head), ...rules.slice(head + others.length)];
  return [
    { chains: [{ table, name, rules: begun }], lines: [] },
    ...others.reverse().map((rule) => line(table, `-I ${name} ${head + 1} ${rule}`)),
  ];
}

/** Beside the last one, turns have a condition; what stands before them holds for every connection. */
function isTurn(rule: string): boolean {
  return rule.startsWith("-m statistic ");
}

function deletion(table: Table, names: readonly string[]): readonly Piece[] {
  return ["-F", "-X"].flatMap((verb) => names.map((name) => line(table, `${verb} ${name}`)));
}

function textsOf(pieces: readonly Piece[], largest: number = LARGEST_TRANSACTION): readonly string[] {
  return inChunks(pieces, sizeOf, largest).map((chunk) =>
    TABLES.map((table) => textOf(chunk, table)).join(""),
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

/**
 * From a plan to nft's words: pure. Two descriptions of a table are compared and the difference becomes one script, or
 * several where it is too large for one message.
 */
import type { IpFamily } from "#model";
import { inChunks } from "../backend.ts";
import type { FamilyPlan } from "../plan.ts";
import { frameScript } from "./frame.ts";
import { emptyLayout, layOut } from "./layout.ts";
import type { Layout } from "./layout.ts";
import { tableOf } from "./names.ts";
import { unitsOf } from "./units.ts";
import type { Elements, Unit, Units } from "./units.ts";

/** Largest script given to nft as one transaction, in bytes of text; its netlink messages are 1.6 times as large. */
const LARGEST_TRANSACTION = 80_000;

export interface Rendered {
  /** In order; each is one transaction and leaves valid rules, also for packets that are under way meanwhile. */
  readonly scripts: readonly string[];
  readonly layout: Layout;
  readonly units: readonly Units[];
  /** Chains that are now empty; to be deleted a second later, if nobody took them up again. */
  readonly retired: readonly string[];
}

const nothingRendered: Pick<Rendered, "layout" | "units"> = { layout: emptyLayout, units: [] };

/** Everything, into a table made anew by the first transaction. */
export function renderAll(plan: FamilyPlan): Rendered {
  const rendered = renderChange(nothingRendered, plan);
  const [first = "", ...rest] = rendered.scripts;
  return { ...rendered, scripts: [`${frameScript(plan.family)}\n${first}`, ...rest] };
}

/** What turns the table that `previous` describes into the plan; no script if nothing changes. */
export function renderChange(previous: Pick<Rendered, "layout" | "units">, plan: FamilyPlan): Rendered {
  const layout = layOut(previous.layout, plan.lists);
  const units = unitsOf(plan, layout, previous.units);
  const changes = changesOf(previous.units, units);
  const pieces = (some: readonly Change[]): readonly Change[] => some.flatMap(inPieces);
  const script = (chunk: readonly Change[]): string => scriptOf(plan.family, chunk);
  const scripts = [
    ...inChunks(pieces(changes), sizeOf, LARGEST_TRANSACTION).map(script),
    ...inChunks(pieces(changes.flatMap(leftOver)), sizeOf, LARGEST_TRANSACTION).map(script),
  ];
  return { scripts, layout, units, retired: changes.flatMap(emptiedChains) };
}

/** What changes and what comes, then what goes: addresses before the lists that they lead to. */
function changesOf(before: readonly Units[], after: readonly Units[]): readonly Change[] {
  const changed: Change[] = [];
  const gone: Change[] = [];
  for (const [index, units] of after.entries()) {
    const old = before[index] ?? new Map<string, Unit>();
    if (old === units) continue;
    for (const [key, unit] of units) {
      const known = old.get(key);
      if (known !== unit) changed.push(...changeOf(known, unit));
    }
    for (const [key, unit] of old) if (!units.has(key)) gone.push(...changeOf(unit, undefined));
  }
  return [...changed, ...gone.reverse()];
}

/** Deletes empty chains that nothing leads to. */
export function renderDeletion(family: IpFamily, chains: readonly string[]): string {
  return chains.map((name) => `delete chain ${tableOf(family)} ${name}`).join("\n");
}

interface Change {
  /** Chains with all their new rules; none: nothing leads there any more. */
  readonly chains: Unit["chains"];
  readonly addMaps: Unit["maps"];
  readonly deleteMaps: readonly string[];
  readonly remove: readonly (readonly [set: string, key: string])[];
  readonly add: readonly (readonly [set: string, element: string])[];
  /**
   * To be removed when the rest is in force: a packet that is between the old rule and its look-up while a transaction
   * is committed must still find the endpoint of its turn.
   */
  readonly removeLater: Change["remove"];
}

const noChange: Change = { chains: [], addMaps: [], deleteMaps: [], remove: [], add: [], removeLater: [] };

/**
 * A list of thousands of endpoints does not fit into one transaction: its endpoints change before its rule, which finds some of
 * the new ones among the former ones meanwhile, and what the rule does not look up any more goes last.
 */
function inPieces(change: Change): readonly Change[] {
  if (sizeOf(change) <= LARGEST_TRANSACTION) return [change];
  const keyOf = ([set, element]: readonly [string, string]): string => `${set} ${element.split(" : ", 1)[0]}`;
  const removed = new Map(change.remove.map((entry) => [keyOf(entry), entry]));
  const added = change.add.map((entry) => {
    const replaced = removed.get(keyOf(entry));
    removed.delete(keyOf(entry));
    return { ...noChange, add: [entry], remove: replaced === undefined ? [] : [replaced] };
  });
  const gone = [...removed.values()].map((entry) => ({ ...noChange, remove: [entry] }));
  return [...added, { ...change, add: [], remove: [] }, ...gone];
}

function leftOver({ removeLater }: Change): readonly Change[] {
  return removeLater.length === 0 ? [] : [{ ...noChange, remove: removeLater }];
}

function emptiedChains({ chains }: Change): readonly string[] {
  return chains.filter(({ rules }) => rules.length === 0).map(({ name }) => name);
}

function changeOf(before: Unit | undefined, after: Unit | undefined): readonly Change[] {
  const chains = changedChains(before?.chains ?? [], after?.chains ?? []);
  // A list whose turns begin anew gets all its elements anew, so that their counters begin together.
  const anew = chains.some(({ name }) => name === after?.chains[0]?.name);
  const remove = differences(before?.elements, anew ? undefined : after?.elements).map(
    ([set, key]) => [set, key] as const,
  );
  const add = differences(after?.elements, anew ? undefined : before?.elements).map(
    ([set, key, value]) => [set, value === "" ? key : `${key} : ${value}`] as const,
  );
  if (chains.length + remove.length + add.length === 0) return [];
  const isReplaced = ([set, key]: Change["remove"][number]): boolean =>
    after?.elements.get(set)?.has(key) ?? false;
  const [now, removeLater] = anew ? split(remove, isReplaced) : [remove, []];
  return [{ chains, add, remove: now, removeLater, ...mapsOf(before, after) }];
}

function mapsOf(before: Unit | undefined, after: Unit | undefined): Pick<Change, "addMaps" | "deleteMaps"> {
  const [old, now] = [before?.maps ?? [], after?.maps ?? []];
  const names = new Set(now.map(({ name }) => name));
  const known = new Set(old.map(({ name }) => name));
  return {
    addMaps: now.filter(({ name }) => !known.has(name)),
    deleteMaps: [...known].filter((name) => !names.has(name)),
  };
}

function changedChains(before: Unit["chains"], after: Unit["chains"]): Unit["chains"] {
  const text = (rules: readonly string[] | undefined): string | undefined => rules?.join("\n");
  const old = new Map(before.map(({ name, rules }) => [name, rules]));
  const names = new Set(after.map(({ name }) => name));
  return [
    ...after.filter(({ name, rules }) => text(old.get(name)) !== text(rules)),
    ...before.filter(({ name }) => !names.has(name)).map(({ name }) => ({ name, rules: [] })),
  ];
}

function split<T>(items: readonly T[], isFirst: (item: T) => boolean): [T[], T[]] {
  return [items.filter(isFirst), items.filter((item) => !isFirst(item))];
}

/** What `some` has and `others` has not, or not with this value. */
function differences(some: Elements = new Map(), others: Elements = new Map()): [string, string, string][] {
  return [...some].flatMap(([set, entries]) =>
    [...entries]
      .filter(([key, value]) => others.get(set)?.get(key) !== value)
      .map(([key, value]): [string, string, string] => [set, key, value]),
  );
}

/** About as many bytes as the change will take in a script. */
function sizeOf(change: Change): number {
  const chains = change.chains.reduce(
    (sum, { name, rules }) => sum + 3 * name.length + 200 * rules.length,
    0,
  );
  const maps = 200 * (change.addMaps.length + change.deleteMaps.length);
  const elements = [...change.remove, ...change.add].reduce((sum, [, text]) => sum + text.length + 2, 0);
  return chains + maps + elements;
}

/** One transaction. A rule is replaced by flushing its chain, which also sets its counter back to slot 0. */
function scriptOf(family: IpFamily, changes: readonly Change[]): string {
  const table = tableOf(family);
  const chains = changes.flatMap((change) => change.chains);
  const removed = changes.flatMap((change) => change.remove);
  const added = changes.flatMap((change) => change.add);
  return [
    ...changes
      .flatMap(({ addMaps }) => addMaps)
      .map(({ name, type }) => `add map ${table} ${name} { ${type} }`),
    ...chains.flatMap(({ name }) => [`add chain ${table} ${name}`, `flush chain ${table} ${name}`]),
    ...elementLines("delete", table, removed),
    ...elementLines("add", table, added),
    ...chains.flatMap(({ name, rules }) => rules.map((rule) => `add rule ${table} ${name} ${rule}`)),
    ...changes.flatMap(({ deleteMaps }) => deleteMaps).map((name) => `delete map ${table} ${name}`),
  ].join("\n");
}

function elementLines(
  verb: "add" | "delete",
  table: string,
  entries: readonly (readonly [string, string])[],
): string[] {
  const bySet = new Map<string, Set<string>>();
  for (const [set, element] of entries) bySet.set(set, (bySet.get(set) ?? new Set()).add(element));
  return [...bySet].map(
    ([set, elements]) => `${verb} element ${table} ${set} { ${[...elements].join(", ")} }`,
  );
}

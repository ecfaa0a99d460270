/**
 * From a plan to nft's words: pure. The table's content is described as units, each of which must change in one
 * transaction; two descriptions are compared and the difference becomes one script, or several where it is too large
 * for one message. `docs/decisions/0002-round-robin-rules.md` tells why the rules look as they do.
 */
import { inChunks } from "../backend.ts";
import { addressKey } from "../plan.ts";
import type { EndpointList, ProxyPlan, Target, VirtualAddress } from "../plan.ts";
import { frameScript } from "./frame.ts";
import { emptyLayout, layOut } from "./layout.ts";
import type { Layout } from "./layout.ts";
import { IN_TABLE, chainOf, endpointMapOf } from "./names.ts";

/** Elements by set or map, then by key; a set's values are empty. */
type Elements = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** Largest script given to nft as one transaction, in bytes of text; its netlink messages are 1.6 times as large. */
const LARGEST_TRANSACTION = 80_000;

/** What changes together: a list with its chain, or an address with its entries. */
interface Unit {
  /** Units made from the same source are the same. */
  readonly source: readonly unknown[];
  readonly chain?: { readonly name: string; readonly rule: string };
  readonly elements: Elements;
}

export interface Rendered {
  /** In order; each is one transaction and leaves valid rules, also for packets that are under way meanwhile. */
  readonly scripts: readonly string[];
  readonly layout: Layout;
  readonly units: ReadonlyMap<string, Unit>;
  /** Chains that are now empty; to be deleted a second later, if nobody took them up again. */
  readonly retired: readonly string[];
}

/** Everything, into a table made anew by the first transaction. */
export function renderAll(plan: ProxyPlan): Rendered {
  const rendered = renderChange({ layout: emptyLayout, units: new Map() }, plan);
  const [first = "", ...rest] = rendered.scripts;
  return { ...rendered, scripts: [`${frameScript}\n${first}`, ...rest] };
}

/** What turns the table that `previous` describes into the plan; no script if nothing changes. */
export function renderChange(previous: Pick<Rendered, "layout" | "units">, plan: ProxyPlan): Rendered {
  const layout = layOut(previous.layout, plan.lists);
  const units = unitsOf(plan, layout, previous.units);
  const changed = [...units].flatMap(([key, unit]) => changeOf(previous.units.get(key), unit));
  const removed = [...previous.units].filter(([key]) => !units.has(key));
  // Addresses go before the lists that they lead to.
  const gone = removed.reverse().flatMap(([, unit]) => changeOf(unit, undefined));
  const changes = [...changed, ...gone];
  const scripts = [
    ...inChunks(changes, sizeOf, LARGEST_TRANSACTION).map(scriptOf),
    ...inChunks(changes.flatMap(leftOver), sizeOf, LARGEST_TRANSACTION).map(scriptOf),
  ];
  const retired = removed.flatMap(([, unit]) => (unit.chain === undefined ? [] : [unit.chain.name]));
  return { scripts, layout, units, retired };
}

/** Deletes empty chains that nothing leads to. */
export function renderDeletion(chains: readonly string[]): string {
  return chains.map((name) => `delete chain ${IN_TABLE} ${name}`).join("\n");
}

/** The rule that gives a list's endpoints their turns; `BLOCK` stands for an offset that is not known. */
export function ruleOf(list: EndpointList, offset: number | "BLOCK"): string {
  const protocol = list.protocol.toLowerCase();
  const turn = `numgen inc mod ${list.slots.length} offset ${offset}`;
  return `meta l4proto ${protocol} counter dnat ip addr . port to ${turn} map @${endpointMapOf(list.protocol)}`;
}

/** All units, in an order in which any first part of them makes valid rules. */
function unitsOf(
  plan: ProxyPlan,
  layout: Layout,
  previous: ReadonlyMap<string, Unit>,
): ReadonlyMap<string, Unit> {
  const units = new Map<string, Unit>();
  const put = (key: string, source: readonly unknown[], make: () => Omit<Unit, "source">): void => {
    const known = previous.get(key);
    const same = known !== undefined && known.source.every((value, index) => value === source[index]);
    units.set(key, same ? known : { ...make(), source });
  };
  const member = (set: string, key: string): void => {
    put(`${set} ${key}`, [], () => ({ elements: new Map([[set, new Map([[key, ""]])]]) }));
  };
  for (const network of plan.podNetworks) member("pod-networks", network);
  for (const address of plan.hairpin) member("hairpin", `${address} . ${address}`);
  for (const [key, list] of plan.lists) {
    const offset = layout.blocks.get(key)?.offset ?? 0;
    put(`list ${key}`, [list.slots, offset], () => listUnit(list, offset));
  }
  for (const [key, at] of plan.addresses) {
    const source = [at.masquerade, ...targetOf(at.target), ...targetOf(at.inside)];
    put(`address ${key}`, source, () => addressUnit(at));
  }
  // Last, because other ports of these addresses are rejected from here on.
  for (const at of plan.addresses.values()) if (at.kind === "ClusterIP") member("cluster-ips", at.address);
  return units;
}

function targetOf(target: Target | undefined): readonly unknown[] {
  return target?.kind === "list" ? ["list", target.list] : [target?.kind, undefined];
}

function listUnit(list: EndpointList, offset: number): Omit<Unit, "source"> {
  const slots = list.slots.map((b, slot) => [String(offset + slot), `${b.address} . ${b.port}`] as const);
  return {
    chain: { name: chainOf(list.key), rule: ruleOf(list, offset) },
    elements: new Map([[endpointMapOf(list.protocol), new Map(slots)]]),
  };
}

function addressUnit(at: VirtualAddress): Omit<Unit, "source"> {
  const key = addressKey(at);
  const elements = new Map<string, ReadonlyMap<string, string>>();
  const put = (set: string, value = ""): void => void elements.set(set, new Map([[key, value]]));
  if (at.masquerade === "everybody") put("masquerade-everybody");
  if (at.masquerade === "node-only") put("masquerade-node");
  if (at.inside?.kind === "list") put("services-inside", verdictOf(at.inside));
  put(at.target.kind === "list" ? "services" : "no-endpoints", verdictOf(at.target));
  return { elements };
}

/** The verdict in force for an address. */
export function verdictOf(target: Target): string {
  if (target.kind === "list") return `goto ${chainOf(target.list)}`;
  return target.kind === "drop" ? "drop" : "goto reject-it";
}

interface Change {
  readonly chain?: { readonly name: string; readonly rule: string | undefined };
  readonly remove: readonly (readonly [set: string, key: string])[];
  readonly add: readonly (readonly [set: string, element: string])[];
  /**
   * To be removed when the rest is in force: a packet that is between the old rule and its look-up while a transaction
   * is committed must still find the endpoint of its turn.
   */
  readonly removeLater?: Change["remove"];
}

function leftOver({ removeLater = [] }: Change): readonly Change[] {
  return removeLater.length === 0 ? [] : [{ remove: removeLater, add: [] }];
}

function changeOf(before: Unit | undefined, after: Unit | undefined): readonly Change[] {
  if (before === after) return [];
  const remove = differences(before?.elements, after?.elements).map(([set, key]) => [set, key] as const);
  const add = differences(after?.elements, before?.elements).map(
    ([set, key, value]) => [set, value === "" ? key : `${key} : ${value}`] as const,
  );
  const name = after?.chain?.name ?? before?.chain?.name;
  const rule = after?.chain?.rule;
  if (name !== undefined && rule !== before?.chain?.rule) {
    const replaced = ([set, key]: Change["remove"][number]): boolean =>
      after?.elements.get(set)?.has(key) ?? false;
    const [now, removeLater] = rule === undefined ? [remove, []] : split(remove, replaced);
    return [{ chain: { name, rule }, remove: now, add, removeLater }];
  }
  return remove.length + add.length === 0 ? [] : [{ remove, add }];
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
  const chain = change.chain === undefined ? 0 : 3 * change.chain.name.length + 200;
  const elements = [...change.remove, ...change.add].reduce((sum, [, text]) => sum + text.length + 2, 0);
  return chain + elements;
}

/** One transaction. A rule is replaced by flushing its chain, which also sets its counter back to slot 0. */
function scriptOf(changes: readonly Change[]): string {
  const chains = changes.flatMap((change) => (change.chain === undefined ? [] : [change.chain]));
  return [
    ...chains.flatMap(({ name }) => [`add chain ${IN_TABLE} ${name}`, `flush chain ${IN_TABLE} ${name}`]),
    ...elementLines(
      "delete",
      changes.flatMap((change) => change.remove),
    ),
    ...elementLines(
      "add",
      changes.flatMap((change) => change.add),
    ),
    ...chains.flatMap(({ name, rule }) =>
      rule === undefined ? [] : [`add rule ${IN_TABLE} ${name} ${rule}`],
    ),
  ].join("\n");
}

function elementLines(verb: "add" | "delete", entries: readonly (readonly [string, string])[]): string[] {
  const bySet = new Map<string, Set<string>>();
  for (const [set, element] of entries) bySet.set(set, (bySet.get(set) ?? new Set()).add(element));
  return [...bySet].map(
    ([set, elements]) => `${verb} element ${IN_TABLE} ${set} { ${[...elements].join(", ")} }`,
  );
}

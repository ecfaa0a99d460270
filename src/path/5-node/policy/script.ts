/** From one content of the tables to another, as an nft script: one transaction. */
import type { IpFamily } from "#lib/ip";
import type { PolicyDirection } from "#model";
import type { SetContent, TableContent } from "./plan.ts";
import { words } from "./rules.ts";

/**
 * On the way out, since IPVS sends what it translated as if the node itself did, past the forward hook; and before anything
 * is masqueraded (priority 100). What the Service proxy refuses is answered before.
 */
const hooks: Readonly<Record<PolicyDirection, string>> = {
  egress: "{ type filter hook postrouting priority 80; policy accept; }",
  ingress: "{ type filter hook postrouting priority 90; policy accept; }",
};

/** Elements in one line of a script. */
const ELEMENTS_PER_LINE = 500;

/** Largest transaction in bytes of text: without root, nft fails with EMSGSIZE not far above. */
const LARGEST_TRANSACTION = 80_000;

/**
 * Makes the tables anew, and takes away those of families that may have one and need none any more: one transaction, or a
 * few where it is too large for one.
 */
export function rebuildScripts(
  contents: readonly TableContent[],
  present: Iterable<IpFamily> = [],
): string[] {
  // `add` first: deleting a table that is not there is an error.
  const away = [...present].map(tableOf).map((table) => [`add table ${table}`, `delete table ${table}`]);
  return inTransactions([away.flat(), ...changeGroups([], contents)]);
}

/**
 * Turns the tables that `before` describes into `after`; nothing where nothing changes. Where one transaction does not hold
 * it all, each keeps back what the old or the new policies keep back, or both.
 */
export function changeScripts(before: readonly TableContent[], after: readonly TableContent[]): string[] {
  return inTransactions(changeGroups(before, after));
}

/** Groups of lines that must be in one transaction. */
function changeGroups(before: readonly TableContent[], after: readonly TableContent[]): string[][] {
  const find = (contents: readonly TableContent[], family: IpFamily): TableContent | undefined =>
    contents.find((content) => content.family === family);
  const gone = before.filter(({ family }) => find(after, family) === undefined);
  return [
    ...after.flatMap((content) => {
      const [table, old] = [tableOf(content.family), find(before, content.family)];
      const create = old === undefined ? [[`add table ${table}`]] : [];
      return [...create, ...changesOf(table, old ?? nothing, content)];
    }),
    ...gone.map(({ family }) => [`delete table ${tableOf(family)}`]),
  ];
}

function inTransactions(groups: readonly (readonly string[])[]): string[] {
  const scripts: string[] = [];
  for (const text of groups.filter((lines) => lines.length > 0).map((lines) => lines.join("\n"))) {
    const last = scripts.at(-1);
    if (last === undefined || last.length + text.length > LARGEST_TRANSACTION) scripts.push(text);
    else scripts[scripts.length - 1] = `${last}\n${text}`;
  }
  return scripts;
}

/** The table of a family, in nft's words. */
export function tableOf(family: IpFamily): string {
  return `${words[family].ip} inroad-policy`;
}

type Content = Pick<TableContent, "sets" | "chains">;
const nothing: Content = { sets: new Map(), chains: new Map() };

/** What others refer to comes before them and goes after them. */
function changesOf(table: string, before: Content, after: Content): string[][] {
  const changed = [...after.chains].filter(([name, rules]) => !same(before.chains.get(name), rules));
  const gone = [...before.chains.keys()].filter((name) => !after.chains.has(name));
  const goneSets = [...before.sets.keys()].filter((name) => !after.sets.has(name));
  const single = [
    ...[...after.sets]
      .filter(([name]) => !before.sets.has(name))
      .map(([name, { type }]) => `add set ${table} ${name} { ${type} }`),
    ...changed.filter(([name]) => !before.chains.has(name)).map(([name]) => addChain(table, name)),
    ...elementLines("add", table, after.sets, before.sets),
  ];
  const last = [
    ...gone.map((name) => `flush chain ${table} ${name}`),
    ...elementLines("delete", table, before.sets, after.sets),
    ...gone.map((name) => `delete chain ${table} ${name}`),
    ...goneSets.map((name) => `delete set ${table} ${name}`),
  ];
  const chains = changed.map(([name, rules]) => [
    ...(before.chains.has(name) ? [`flush chain ${table} ${name}`] : []),
    ...rules.map((rule) => `add rule ${table} ${name} ${rule}`),
  ]);
  return [...single.map((line) => [line]), ...chains, ...last.map((line) => [line])];
}

function addChain(table: string, name: string): string {
  const hook = name === "egress" || name === "ingress" ? ` ${hooks[name]}` : "";
  return `add chain ${table} ${name}${hook}`;
}

function same(before: readonly string[] | undefined, after: readonly string[]): boolean {
  return before?.length === after.length && before.every((rule, index) => rule === after[index]);
}

/** Elements of `some` that `others` lack. A set that goes takes its elements along. */
function elementLines(
  verb: "add" | "delete",
  table: string,
  some: ReadonlyMap<string, SetContent>,
  others: ReadonlyMap<string, SetContent>,
): string[] {
  return [...some].flatMap(([name, { elements }]) => {
    const other = others.get(name);
    if (verb === "delete" && other === undefined) return [];
    const differing = [...elements].filter((element) => other?.elements.has(element) !== true);
    return chunks(differing).map((list) => `${verb} element ${table} ${name} { ${list.join(", ")} }`);
  });
}

function chunks(elements: readonly string[]): string[][] {
  const count = Math.ceil(elements.length / ELEMENTS_PER_LINE);
  return Array.from({ length: count }, (_, i) =>
    elements.slice(i * ELEMENTS_PER_LINE, (i + 1) * ELEMENTS_PER_LINE),
  );
}

/** How much of the table's content is there: to notice that somebody deleted own rules. */
import { frameRules } from "./frame.ts";

/** Number of rules by chain, and of elements by set or map. */
export interface Content {
  readonly rules: ReadonlyMap<string, number>;
  readonly elements: ReadonlyMap<string, number>;
}

/**
 * Reads `nft -j list table`. Counts instead of texts: their wording differs between versions of nft.
 * What is not understood counts as missing.
 */
export function readContent(json: string): Content {
  const rules = new Map<string, number>();
  const elements = new Map<string, number>();
  for (const item of itemsOf(json)) {
    const chain = textAt(objectAt(item, "chain"), "name");
    if (chain !== undefined) rules.set(chain, rules.get(chain) ?? 0);
    const ruled = textAt(objectAt(item, "rule"), "chain");
    if (ruled !== undefined) rules.set(ruled, (rules.get(ruled) ?? 0) + 1);
    const set = objectAt(item, "set") ?? objectAt(item, "map");
    const name = textAt(set, "name");
    if (name === undefined) continue;
    const elem: unknown = set === undefined ? undefined : Reflect.get(set, "elem");
    elements.set(name, Array.isArray(elem) ? elem.length : 0);
  }
  return { rules, elements };
}

interface ExpectedUnit {
  readonly chains: readonly { readonly name: string; readonly rules: readonly unknown[] }[];
  readonly elements: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

/** Whether the content has as many rules and elements as these units make. Retired chains may exist, empty. */
export function sameContent(
  content: Content,
  units: Iterable<ExpectedUnit>,
  retired: Iterable<string>,
): boolean {
  const rules = new Map(frameRules);
  const elements = new Map<string, Set<string>>();
  for (const name of retired) rules.set(name, 0);
  for (const unit of units) {
    for (const chain of unit.chains) rules.set(chain.name, chain.rules.length);
    for (const [set, entries] of unit.elements) {
      const keys = elements.get(set) ?? new Set();
      for (const key of entries.keys()) keys.add(key);
      elements.set(set, keys);
    }
  }
  return (
    [...rules].every(([chain, count]) => content.rules.get(chain) === count) &&
    [...elements].every(([set, keys]) => content.elements.get(set) === keys.size)
  );
}

function itemsOf(json: string): readonly object[] {
  try {
    const value: unknown = JSON.parse(json);
    const list: unknown =
      typeof value === "object" && value !== null ? Reflect.get(value, "nftables") : undefined;
    return Array.isArray(list) ? list.filter((item) => typeof item === "object" && item !== null) : [];
  } catch {
    return [];
  }
}

function objectAt(object: object, field: string): object | undefined {
  const value: unknown = Reflect.get(object, field);
  return typeof value === "object" && value !== null ? value : undefined;
}

function textAt(object: object | undefined, field: string): string | undefined {
  const value: unknown = object === undefined ? undefined : Reflect.get(object, field);
  return typeof value === "string" ? value : undefined;
}

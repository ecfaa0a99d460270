/** Whether a table of the edge still holds what was written to it: to notice that somebody deleted own rules. Pure. */
import type { Rules } from "./rules.ts";

interface Item {
  readonly chain?: { readonly name: string };
  readonly rule?: { readonly chain: string };
  readonly map?: NamedSet;
  readonly set?: NamedSet;
}

interface NamedSet {
  readonly name: string;
  readonly elem?: readonly unknown[];
}

/**
 * Compares `nft -j list table` with the table that a script made and that has these rules since: chains, the number of rules in
 * each, and of elements in each set. Their wording differs between versions of nft, so a rule that somebody changed into another
 * is not noticed.
 * @param base the fixed part, as `baseScript` writes it
 */
export function isIntact(json: string, base: string, { chains, ...wanted }: Rules): boolean {
  const { nftables: items }: { readonly nftables: readonly Item[] } = JSON.parse(json);
  const there = new Set(items.flatMap(({ chain }) => chain?.name ?? []));
  const rules = Map.groupBy(
    items.flatMap(({ rule }) => rule?.chain ?? []),
    (chain) => chain,
  );
  const sets = new Map(items.flatMap(({ map, set = map }) => (set === undefined ? [] : [[set.name, set]])));
  return (
    [...chainsOf(base), ...chains].every(
      ([name, { length }]) => there.has(name) && (rules.get(name)?.length ?? 0) === length,
    ) &&
    Object.entries(wanted).every(
      ([name, { size }]) => sets.has(name) && (sets.get(name)?.elem?.length ?? 0) === size,
    )
  );
}

/** The rules of each chain in a script, one a line; a chain's first line may be its hook. */
function chainsOf(script: string): readonly (readonly [string, readonly string[]])[] {
  return [...script.matchAll(/^ {2}chain (\S+) \{\n([^]*?)^ {2}\}$/gm)].map(([, name = "", body = ""]) => {
    const lines = body.split("\n").map((line) => line.trim());
    return [name, lines.filter((line) => line !== "" && !line.startsWith("type "))];
  });
}

/** Whether a table still holds what it should: to notice that somebody deleted own rules. */
import { deniedSet, directions } from "./plan.ts";
import type { TableContent } from "./plan.ts";

interface Item {
  readonly chain?: { readonly name: string };
  readonly rule?: { readonly chain: string };
  readonly set?: { readonly name: string; readonly elem?: readonly unknown[] };
}

/** The sets that the kernel fills. */
const recorded = new Set(directions.map(deniedSet));

/**
 * Compares `nft -j list table` with a content: the number of rules in each chain and of elements in each set. Their wording
 * differs between versions of nft.
 */
export function isIntact(json: string, { sets, chains }: TableContent): boolean {
  const { nftables: items }: { readonly nftables: readonly Item[] } = JSON.parse(json);
  const rules = Map.groupBy(
    items.flatMap(({ rule }) => rule?.chain ?? []),
    (chain) => chain,
  );
  const hasChains = new Set(items.flatMap(({ chain }) => chain?.name ?? []));
  const hasSets = new Map(items.flatMap(({ set }) => (set === undefined ? [] : [[set.name, set]])));
  return (
    [...chains].every(
      ([name, { length }]) => hasChains.has(name) && (rules.get(name)?.length ?? 0) === length,
    ) &&
    [...sets].every(([name, { elements }]) => {
      const set = hasSets.get(name);
      return set !== undefined && (recorded.has(name) || (set.elem?.length ?? 0) === elements.size);
    })
  );
}

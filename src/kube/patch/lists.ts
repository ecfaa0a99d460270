import { isJsonObject, sameJson, type JsonObject } from "../json.ts";
import { goText, PatchError, patchDirective, withoutDirectives } from "./directives.ts";

export interface ListRule {
  /** Field by which items of the list are recognised; undefined for lists of plain values. */
  readonly mergeKey: string | undefined;
}

type MergeItem = (target: JsonObject, patch: JsonObject) => JsonObject;

const sameItem = (a: unknown, b: unknown, mergeKey: string | undefined): boolean =>
  mergeKey !== undefined && isJsonObject(a) && isJsonObject(b)
    ? sameJson(a[mergeKey], b[mergeKey])
    : sameJson(a, b);

const indexIn = (list: readonly unknown[], item: unknown, mergeKey: string | undefined): number =>
  list.findIndex((other) => sameItem(other, item, mergeKey));

/** Merges the list of a patch into a live list; the items of the patch keep their order, others stay around them. */
export function mergeLists(
  { mergeKey }: ListRule,
  live: readonly unknown[],
  patch: readonly unknown[],
  mergeItem: MergeItem,
): readonly unknown[] {
  if (live.length === 0 && patch.length === 0) return live;
  const objects = patch.some((item) => isJsonObject(item)) || live.some((item) => isJsonObject(item));
  if (!objects) {
    const all = [...live, ...patch];
    const unique = all.filter((item, index) => indexIn(all, item, undefined) === index);
    return ordered(unique, patch, live, undefined);
  }
  if (mergeKey === undefined) throw new PatchError("cannot merge lists without merge key");
  const { target, items, replaced } = applyItemDirectives(live, patch, mergeKey);
  if (replaced) return items;
  return ordered(mergeByKey(target, items, mergeKey, mergeItem), items, target, mergeKey);
}

/** Items with `$patch: delete` remove their counterpart; one item `$patch: replace` makes the patch the whole list. */
function applyItemDirectives(
  live: readonly unknown[],
  patch: readonly unknown[],
  mergeKey: string,
): { target: readonly unknown[]; items: readonly JsonObject[]; replaced: boolean } {
  let target = live;
  let replaced = false;
  const items: JsonObject[] = [];
  for (const item of patch) {
    if (!isJsonObject(item)) throw new PatchError(`expected a map, but received ${goText(item)}`);
    const directive = patchDirective(item);
    if (directive === undefined) items.push(item);
    else if (directive === "replace") replaced = true;
    else if (directive === "merge")
      throw new PatchError("merging lists cannot yet be specified in the patch");
    else {
      keyOf(item, mergeKey);
      target = target.filter((other) => !sameItem(other, item, mergeKey));
    }
  }
  return { target, items, replaced };
}

function keyOf(item: JsonObject, mergeKey: string): unknown {
  if (Object.hasOwn(item, mergeKey)) return item[mergeKey];
  throw new PatchError(`map: ${goText(item)} does not contain declared merge key: ${mergeKey}`);
}

function mergeByKey(
  live: readonly unknown[],
  items: readonly JsonObject[],
  mergeKey: string,
  mergeItem: MergeItem,
): readonly unknown[] {
  const merged = [...live];
  for (const item of items) {
    keyOf(item, mergeKey);
    const index = indexIn(merged, item, mergeKey);
    const counterpart = merged[index];
    if (isJsonObject(counterpart)) merged[index] = mergeItem(counterpart, item);
    else merged.push(withoutDirectives(item));
  }
  return merged;
}

/**
 * Puts the items that `order` names into that order and the others between them as they stood in the live list. A new item
 * has no place in the live list; the ones of the patch then come first.
 */
export function ordered(
  items: readonly unknown[],
  order: readonly unknown[],
  live: readonly unknown[],
  mergeKey: string | undefined,
): readonly unknown[] {
  const place = (list: readonly unknown[]) => (item: unknown) => indexIn(list, item, mergeKey);
  const byPlace = (list: readonly unknown[]) => (a: unknown, b: unknown) => place(list)(a) - place(list)(b);
  const named = items.filter((item) => place(order)(item) >= 0).toSorted(byPlace(order));
  const others = items.filter((item) => place(order)(item) < 0).toSorted(byPlace(live));
  const result: unknown[] = [];
  let next = 0;
  for (const item of named) {
    while (next < others.length && standsBefore(others[next], item, place(live))) {
      result.push(others[next]);
      next += 1;
    }
    result.push(item);
  }
  return [...result, ...others.slice(next)];
}

function standsBefore(a: unknown, b: unknown, place: (item: unknown) => number): boolean {
  const [first, second] = [place(a), place(b)];
  return first >= 0 && second >= 0 && first < second;
}

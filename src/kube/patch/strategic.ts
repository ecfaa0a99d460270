import { isJsonObject, listOf, sameJson, type JsonObject } from "../json.ts";
import type { KindInfo } from "../kinds.ts";
import { schemaOf } from "../schema/index.ts";
import type { FieldType } from "../schema/types.ts";
import { mergeLists, ordered, type ListRule } from "./lists.ts";
import { define } from "./merge.ts";
import { PatchError, patchDirective, withoutDirectives } from "./directives.ts";

const deleteFromList = "$deleteFromPrimitiveList/";
const setOrder = "$setElementOrder/";
const retainKeys = "$retainKeys";

/** What the schema says of a field; unknown fields are replaced as a whole. */
interface FieldRule extends ListRule {
  /** Type of the object, or of the items of the list. */
  readonly inner: FieldType | undefined;
  readonly strategies: readonly string[];
}

function ruleOf(type: FieldType | undefined, name: string): FieldRule {
  const none = { inner: undefined, strategies: [], mergeKey: undefined };
  if (type?.is === "map") return { ...none, inner: type.item };
  const field = type?.is === "type" ? schemaOf(type.name)?.fields.get(name) : undefined;
  if (!field) return none;
  const inner = field.type.is === "list" ? field.type.item : field.type;
  return { inner, strategies: field.patchStrategies, mergeKey: field.patchMergeKey };
}

/**
 * Strategic merge patch: objects merge, lists of objects merge by the key that the schema names, lists of plain values are
 * united or replaced; `$patch: replace|delete|merge`, `$retainKeys`, `$deleteFromPrimitiveList/x` and `$setElementOrder/x`
 * act as in Kubernetes. Neither argument is changed.
 * @throws PatchError for a patch that cannot be applied.
 */
export function strategicMergePatch<T extends JsonObject>(kind: KindInfo, target: T, patch: JsonObject): T {
  return mergeObjects({ is: "type", name: kind.schema }, target, patch) as T;
}

function mergeObjects(type: FieldType | undefined, target: JsonObject, patch: JsonObject): JsonObject {
  const directive = patchDirective(patch);
  if (directive === "replace") {
    const { $patch: _directive, ...rest } = patch;
    return rest;
  }
  if (directive === "delete") return {};
  const result = retained(target, patch);
  const ordering = new Set<string>();
  for (const [name, value] of Object.entries(patch)) {
    if (!name.startsWith(setOrder)) continue;
    const field = name.slice(setOrder.length);
    ordering.add(field);
    orderField(type, result, field, patch[field], listOf(value));
  }
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith(setOrder) || name === retainKeys || name === "$patch" || ordering.has(name)) continue;
    if (name.startsWith(deleteFromList)) {
      const field = name.slice(deleteFromList.length);
      if (Object.hasOwn(result, field)) {
        result[field] = listOf(result[field]).filter(
          (item) => !listOf(value).some((gone) => sameJson(gone, item)),
        );
      }
    } else mergeField(type, result, name, value);
  }
  return result;
}

/** `$retainKeys` drops every field that it does not name. */
function retained(target: JsonObject, patch: JsonObject): Record<string, unknown> {
  if (!Object.hasOwn(patch, retainKeys)) return { ...target };
  const keep = patch[retainKeys];
  if (!Array.isArray(keep)) throw new PatchError("unable to parse the $retainKeys list");
  const stray = Object.keys(patch).filter((name) => !name.startsWith("$") && !keep.includes(name));
  if (stray.length > 0)
    throw new PatchError("The patch contains fields that are not in the $retainKeys list");
  return Object.fromEntries(Object.entries(target).filter(([name]) => keep.includes(name)));
}

function orderField(
  type: FieldType | undefined,
  result: Record<string, unknown>,
  name: string,
  patch: unknown,
  order: readonly unknown[],
): void {
  const present = Object.hasOwn(result, name);
  if (!present && patch === undefined) return;
  const rule = ruleOf(type, name);
  const live = listOf(result[name]);
  const merged =
    patch === undefined || patch === null ? live : mergeLists(rule, live, listOf(patch), mergeItem(rule));
  define(result, name, ordered(merged, order, live, rule.mergeKey));
}

const mergeItem =
  (rule: FieldRule) =>
  (target: JsonObject, patch: JsonObject): JsonObject =>
    mergeObjects(rule.inner, target, patch);

function mergeField(
  type: FieldType | undefined,
  result: Record<string, unknown>,
  name: string,
  value: unknown,
): void {
  if (value === null) {
    delete result[name];
    return;
  }
  const live = Object.hasOwn(result, name) ? result[name] : undefined;
  const rule = ruleOf(type, name);
  if (isJsonObject(value) && isJsonObject(live)) {
    const replace = rule.strategies.includes("replace");
    define(result, name, replace ? withoutDirectives(value) : mergeObjects(rule.inner, live, value));
  } else if (Array.isArray(value) && Array.isArray(live) && rule.strategies.includes("merge")) {
    define(result, name, mergeLists(rule, live, value, mergeItem(rule)));
  } else {
    const plain = withoutDirectives(value);
    if (plain !== undefined) define(result, name, plain);
  }
}

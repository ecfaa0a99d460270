import { isJsonObject, scalarText, type JsonObject } from "../json.ts";

/** A patch that cannot be applied; worded as an API server words it (which answers 500 to most of these). */
export class PatchError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "PatchError";
  }
}

/** The `$patch` directive of an object, if it has one. */
export function patchDirective(patch: JsonObject): "replace" | "delete" | "merge" | undefined {
  const directive = patch["$patch"];
  if (directive === undefined) return undefined;
  if (directive === "replace" || directive === "delete" || directive === "merge") return directive;
  throw new PatchError(`unknown patch type: ${goText(directive)} in map: ${goText(patch)}`);
}

const isDeletion = (value: unknown): boolean => isJsonObject(value) && value["$patch"] === "delete";

/** A value that has nothing to merge with: nulls, directives and what they delete are taken out. */
export function withoutDirectives(value: unknown): unknown {
  if (isDeletion(value)) return undefined;
  if (Array.isArray(value))
    return value.filter((item) => !isDeletion(item)).map((item) => withoutDirectives(item));
  if (!isJsonObject(value)) return value;
  const kept = Object.entries(value).filter(
    ([name, item]) => item !== null && !name.startsWith("$") && !isDeletion(item),
  );
  return Object.fromEntries(kept.map(([name, item]) => [name, withoutDirectives(item)]));
}

/** JSON in the notation of Go's `%v`, as it stands in messages: `map[image:x ports:[80 81]]`. */
export function goText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => goText(item)).join(" ")}]`;
  if (isJsonObject(value)) {
    const keys = Object.keys(value).toSorted();
    return `map[${keys.map((key) => `${key}:${goText(value[key])}`).join(" ")}]`;
  }
  return value === null || value === undefined ? "<nil>" : scalarText(value);
}

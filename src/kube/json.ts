/** A JSON object whose fields nobody has looked at yet. */
export type JsonObject = { readonly [field: string]: unknown };

/** True for `{...}`: not null, not a list. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value as an object; an empty one when it is anything else. */
export function objectOf(value: unknown): JsonObject {
  return isJsonObject(value) ? value : {};
}

/** The value as a list; an empty one when it is anything else. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The value as text; empty when it is anything else. */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** The value as a number; 0 when it is anything else. */
export function numberOf(value: unknown): number {
  return typeof value === "number" ? value : 0;
}

/** A text, number or boolean as text; empty when it is anything else. */
export function scalarText(value: unknown): string {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? `${value}`
    : "";
}

/** The value found by walking the given field names from `value`, or undefined. */
export function at(value: unknown, ...fields: readonly string[]): unknown {
  let here = value;
  for (const field of fields) {
    if (!isJsonObject(here)) return undefined;
    here = Object.hasOwn(here, field) ? here[field] : undefined;
  }
  return here;
}

/** The object found by walking the given field names; an empty one when there is none. */
export function objectAt(value: unknown, ...fields: readonly string[]): JsonObject {
  return objectOf(at(value, ...fields));
}

/** The list found by walking the given field names; an empty one when there is none. */
export function listAt(value: unknown, ...fields: readonly string[]): readonly unknown[] {
  return listOf(at(value, ...fields));
}

/** The text found by walking the given field names; empty when there is none. */
export function textAt(value: unknown, ...fields: readonly string[]): string {
  return textOf(at(value, ...fields));
}

/** Whether two JSON values are equal; the order of object fields carries no meaning, an absent field equals undefined. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => sameJson(item, b[i]));
  }
  if (!isJsonObject(a) || !isJsonObject(b)) return false;
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].every((name) => sameJson(at(a, name), at(b, name)));
}

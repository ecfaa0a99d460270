import { isJsonObject, type JsonObject } from "./json.ts";
import type { KindInfo } from "./kinds.ts";
import { schemaOf } from "./schema/index.ts";
import type { FieldType } from "./schema/types.ts";

/** Calls `visit` for every field that the schema does not know. Paths are written as strict decoding writes them. */
function walkUnknown(type: FieldType, value: unknown, path: string, visit: (path: string) => void): void {
  if (type.is === "list" && Array.isArray(value)) {
    value.forEach((item, index) => walkUnknown(type.item, item, `${path}[${index}]`, visit));
  } else if (type.is === "map" && isJsonObject(value)) {
    for (const [key, item] of Object.entries(value)) walkUnknown(type.item, item, `${path}.${key}`, visit);
  } else if (type.is === "type" && isJsonObject(value)) {
    walkObject(type.name, value, path, visit);
  }
}

function walkObject(typeName: string, value: JsonObject, path: string, visit: (path: string) => void): void {
  const schema = schemaOf(typeName);
  if (!schema) return;
  for (const [name, item] of Object.entries(value)) {
    const here = path === "" ? name : `${path}.${name}`;
    const field = schema.fields.get(name);
    if (field) walkUnknown(field.type, item, here, visit);
    else visit(here);
  }
}

/** Messages of strict decoding, one per field that the kind does not have: `unknown field "spec.foo"`. */
export function unknownFields(kind: KindInfo, object: JsonObject): string[] {
  const found: string[] = [];
  walkObject(kind.schema, object, "", (path) => found.push(`unknown field "${path}"`));
  return found;
}

function prunedValue(type: FieldType, value: unknown): unknown {
  if (type.is === "list" && Array.isArray(value)) return value.map((item) => prunedValue(type.item, item));
  if (type.is === "map" && isJsonObject(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, prunedValue(type.item, item)]),
    );
  }
  return type.is === "type" && isJsonObject(value) ? prunedObject(type.name, value) : value;
}

function prunedObject(typeName: string, value: JsonObject): JsonObject {
  const schema = schemaOf(typeName);
  if (!schema) return value;
  const kept = Object.entries(value).flatMap(([name, item]) => {
    const field = schema.fields.get(name);
    return field ? [[name, prunedValue(field.type, item)] as const] : [];
  });
  return Object.fromEntries(kept);
}

/** The object without the fields that its kind does not have. Nothing else is changed. */
export function prune<T extends JsonObject>(kind: KindInfo, object: T): T {
  return prunedObject(kind.schema, object) as T;
}

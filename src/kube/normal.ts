import { isJsonObject, type JsonObject } from "./json.ts";
import { canonicalQuantity } from "./quantity.ts";
import { schemaOf } from "./schema/index.ts";
import type { Field, FieldType, Scalar } from "./schema/types.ts";

/**
 * A value in the shape in which a server stores and returns it: unknown fields gone, null taken as absent, zero values
 * of plain optional scalars and empty optional lists and maps dropped, nested structures always present, quantities
 * canonical, fields in the order of the schema. Values of a wrong type are left alone (`typeError` reports them).
 */
export function normalize(typeName: string, value: JsonObject): Record<string, unknown> {
  const schema = schemaOf(typeName);
  if (!schema) return { ...value };
  const result: Record<string, unknown> = {};
  for (const field of schema.fields.values()) {
    const stored = storedField(field, Object.hasOwn(value, field.name) ? value[field.name] : undefined);
    if (stored !== undefined) result[field.name] = stored;
  }
  return result;
}

function storedField(field: Field, value: unknown): unknown {
  const { type } = field;
  if (type.is === "type") {
    if (field.pointer && (value === undefined || value === null)) return undefined;
    return storedValue(type, value ?? {});
  }
  if (value === undefined || value === null) return absentField(field);
  const stored = storedValue(type, value);
  if (field.pointer || (field.always && type.is === "scalar")) return stored;
  if (isEmpty(stored)) return field.always ? null : undefined;
  if (type.is === "scalar" && isZero(type.scalar, stored)) return undefined;
  return stored;
}

/** What is written for a field that is not set. */
function absentField(field: Field): unknown {
  const { type } = field;
  if (field.pointer) return field.always ? null : undefined;
  if (type.is !== "scalar") return field.always ? null : undefined;
  if (type.scalar === "int-or-string") return 0;
  if (type.scalar === "quantity") return "0";
  if (type.scalar === "time" || type.scalar === "micro-time") return null;
  return field.always ? zeroOf(type.scalar) : undefined;
}

function storedValue(type: FieldType, value: unknown): unknown {
  if (type.is === "type") return isJsonObject(value) ? normalize(type.name, value) : value;
  if (type.is === "list") {
    return Array.isArray(value)
      ? value.map((item) => storedValue(type.item, item ?? zeroValue(type.item)))
      : value;
  }
  if (type.is === "map") return isJsonObject(value) ? storedMap(type.item, value) : value;
  return storedScalar(type.scalar, value);
}

/** Keys are sorted, as in every answer of a server. */
function storedMap(item: FieldType, value: JsonObject): JsonObject {
  const keys = Object.keys(value).toSorted(compareText);
  return Object.fromEntries(keys.map((key) => [key, storedValue(item, value[key] ?? zeroValue(item))]));
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function storedScalar(scalar: Scalar, value: unknown): unknown {
  if (scalar === "quantity" && (typeof value === "string" || typeof value === "number")) {
    return canonicalQuantity(value);
  }
  if (scalar === "bytes" && typeof value === "string") return value.replaceAll(/[\r\n]/g, "");
  return value;
}

function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return isJsonObject(value) && Object.keys(value).length === 0;
}

function isZero(scalar: Scalar, value: unknown): boolean {
  if (scalar === "quantity" || scalar === "int-or-string" || scalar === "object") return false;
  return value === "" || value === 0 || value === false;
}

function zeroOf(scalar: Scalar): unknown {
  if (scalar === "bool") return false;
  if (scalar === "int32" || scalar === "int64") return 0;
  if (scalar === "string" || scalar === "bytes") return "";
  return null;
}

/** The value that null stands for inside lists and maps. */
function zeroValue(type: FieldType): unknown {
  if (type.is === "type") return {};
  return type.is === "scalar" ? zeroOf(type.scalar) : null;
}

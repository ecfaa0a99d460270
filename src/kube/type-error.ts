import { isJsonObject, listOf, objectOf, type JsonObject } from "./json.ts";
import type { KindInfo } from "./kinds.ts";
import { parseQuantity } from "./quantity.ts";
import { schemaOf } from "./schema/index.ts";
import type { FieldType, Scalar } from "./schema/types.ts";
import { timeError } from "./time-text.ts";

/** Where a value stands, as messages of the API name it: the type that has the field, and the path without indexes. */
interface Place {
  readonly owner: string;
  readonly path: string;
}

/** Name of a type in messages: `[]v1.ServicePort`, `map[string]string`. */
function typeName(type: FieldType): string {
  if (type.is === "list") return `[]${typeName(type.item)}`;
  if (type.is === "map") {
    const item = typeName(type.item);
    return item === "resource.Quantity" ? "v1.ResourceList" : `map[string]${item}`;
  }
  if (type.is === "type") return `v1.${shortName(type.name)}`;
  const names: Partial<Record<Scalar, string>> = { bytes: "[]uint8", quantity: "resource.Quantity" };
  return names[type.scalar] ?? type.scalar;
}

const shortName = (name: string): string => name.slice(name.lastIndexOf(".") + 1);

/** What a JSON value is called in messages; numbers that do not fit are quoted. */
function valueName(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "number" : `number ${value}`;
  return typeof value === "boolean" ? "bool" : typeof value;
}

const mismatch = (value: unknown, type: FieldType, place: Place): string =>
  `json: cannot unmarshal ${valueName(value)} into Go struct field ${place.owner}.${place.path} of type ${typeName(type)}`;

/** The first value whose type does not fit, as a message; undefined when all fit. */
function valueError(type: FieldType, value: unknown, place: Place): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (type.is === "scalar") return scalarErrors[type.scalar](type, value, place);
  const fits = type.is === "list" ? Array.isArray(value) : isJsonObject(value);
  if (!fits) return mismatch(value, type, place);
  if (type.is === "type") return objectError(type.name, objectOf(value), place.path);
  const items = Array.isArray(value) ? listOf(value) : Object.values(objectOf(value));
  return firstOf(items, (item) => valueError(type.item, item, place));
}

function firstOf<T>(values: readonly T[], check: (value: T) => string | undefined): string | undefined {
  for (const value of values) {
    const message = check(value);
    if (message !== undefined) return message;
  }
  return undefined;
}

function objectError(typeName: string, value: JsonObject, path: string): string | undefined {
  const schema = schemaOf(typeName);
  if (!schema) return undefined;
  const owner = shortName(typeName);
  return firstOf(Object.keys(value), (name) => {
    const field = schema.fields.get(name);
    const here = path === "" ? name : `${path}.${name}`;
    return field && valueError(field.type, value[name], { owner, path: here });
  });
}

type ScalarCheck = (type: FieldType & { is: "scalar" }, value: unknown, place: Place) => string | undefined;

const limits: Partial<Record<Scalar, number>> = { int32: 2 ** 31, int64: 2 ** 63 };

const typed =
  (name: "string" | "boolean"): ScalarCheck =>
  (type, value, place) =>
    typeof value === name ? undefined : mismatch(value, type, place);

const timed: ScalarCheck = (type, value) =>
  typeof value === "string"
    ? timeError(value, type.scalar === "micro-time")
    : `json: cannot unmarshal ${valueName(value)} into Go value of type string`;

const scalarErrors: Readonly<Record<Scalar, ScalarCheck>> = {
  object: () => undefined,
  string: typed("string"),
  bool: typed("boolean"),
  int32: integerError,
  int64: integerError,
  "int-or-string": (_type, value) => (typeof value === "string" ? undefined : plainIntegerError(value)),
  quantity: (_type, value) => quantityError(value),
  bytes: (type, value, place) =>
    typeof value === "string" ? base64Error(value) : mismatch(value, type, place),
  time: timed,
  "micro-time": timed,
};

function integerError(type: FieldType & { is: "scalar" }, value: unknown, place: Place): string | undefined {
  const limit = limits[type.scalar] ?? 0;
  if (typeof value !== "number") return mismatch(value, type, place);
  if (Number.isInteger(value) && value >= -limit && value < limit) return undefined;
  const where = `Go struct field ${place.owner}.${place.path} of type ${typeName(type)}`;
  return `json: cannot unmarshal number ${value} into ${where}`;
}

function plainIntegerError(value: unknown): string | undefined {
  const fits = typeof value === "number" && Number.isInteger(value) && Math.abs(value) < 2 ** 31;
  if (fits) return undefined;
  const what = typeof value === "number" ? `number ${value}` : valueName(value);
  return `json: cannot unmarshal ${what} into Go value of type int32`;
}

function quantityError(value: unknown): string | undefined {
  if (typeof value !== "string" && typeof value !== "number") {
    return "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
  }
  if (parseQuantity(String(value)) !== undefined) return undefined;
  return /^[+-]?[\d.]+[A-Za-z]+$/.test(String(value))
    ? "unable to parse quantity's suffix"
    : "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
}

function base64Error(text: string): string | undefined {
  const plain = text.replaceAll(/[\r\n]/g, "");
  const body = plain.replace(/={0,2}$/, "");
  const bad = body.search(/[^A-Za-z0-9+/]/);
  if (bad >= 0) return `illegal base64 data at input byte ${bad}`;
  return plain.length % 4 === 0
    ? undefined
    : `illegal base64 data at input byte ${plain.length - (plain.length % 4)}`;
}

/**
 * The message of the decoder for the first value of a wrong type, undefined when every value fits:
 * `json: cannot unmarshal number into Go struct field ConfigMap.data of type string`.
 */
export function typeError(kind: KindInfo, object: JsonObject): string | undefined {
  return objectError(kind.schema, object, "");
}

/** The whole sentence of an API server that cannot decode a body (400). */
export function undecodable(kind: KindInfo, detail: string): string {
  return `${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: ${detail}`;
}

import { isJsonObject, scalarText } from "../json.ts";

/** One finding about one field, in the words and with the reasons of the Kubernetes API. */
export interface FieldError {
  readonly reason:
    | "FieldValueRequired"
    | "FieldValueInvalid"
    | "FieldValueNotSupported"
    | "FieldValueForbidden"
    | "FieldValueDuplicate"
    | "FieldValueTooLong"
    | "FieldValueTooMany"
    | "FieldValueNotFound";
  /** Path of the field: `spec.ports[0].port`. */
  readonly field: string;
  /** Without the path: `Invalid value: 0: must be between 1 and 65535, inclusive`. */
  readonly message: string;
}

const goEscapes: Readonly<Record<string, string>> = { "\\u0007": "\\a", "\\u000b": "\\v" };

/** A text in double quotes, escaped as in the messages of the API (`"a\x00b"`). */
export function quoted(text: string): string {
  return JSON.stringify(text).replaceAll(
    /\\u00([01][0-9a-f])/g,
    (escape, hex: string) => goEscapes[escape] ?? `\\x${hex}`,
  );
}

/** JSON with `<`, `>` and `&` escaped, as values stand in messages. */
function jsonText(value: unknown): string {
  return JSON.stringify(value ?? null).replaceAll(
    /[<>&]/g,
    (char) => `\\u00${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

/** How a rejected value stands in a message: text quoted, numbers plain, everything else as JSON. */
function shown(value: unknown): string {
  if (typeof value === "string") return quoted(value);
  if (Array.isArray(value) || isJsonObject(value)) return jsonText(value);
  return value === undefined || value === null ? "null" : scalarText(value);
}

export function required(field: string, detail = ""): FieldError {
  return {
    reason: "FieldValueRequired",
    field,
    message: detail === "" ? "Required value" : `Required value: ${detail}`,
  };
}

export function invalid(field: string, value: unknown, detail: string): FieldError {
  return { reason: "FieldValueInvalid", field, message: `Invalid value: ${shown(value)}: ${detail}` };
}

export function forbidden(field: string, detail: string): FieldError {
  return { reason: "FieldValueForbidden", field, message: `Forbidden: ${detail}` };
}

export function duplicate(field: string, value: unknown): FieldError {
  return { reason: "FieldValueDuplicate", field, message: `Duplicate value: ${shown(value)}` };
}

/** `supported` is listed in the order given: Kubernetes sorts most lists, but not all. */
export function notSupported(field: string, value: unknown, supported: readonly string[]): FieldError {
  const list = supported.map((item) => quoted(item)).join(", ");
  return {
    reason: "FieldValueNotSupported",
    field,
    message: `Unsupported value: ${shown(value)}: supported values: ${list}`,
  };
}

export function tooLong(field: string, maxBytes: number): FieldError {
  return { reason: "FieldValueTooLong", field, message: `Too long: may not be more than ${maxBytes} bytes` };
}

export function tooMany(field: string, count: number, max: number): FieldError {
  return {
    reason: "FieldValueTooMany",
    field,
    message: `Too many: ${count}: must have at most ${max} item${max === 1 ? "" : "s"}`,
  };
}

export function notFound(field: string, value: unknown): FieldError {
  return { reason: "FieldValueNotFound", field, message: `Not found: ${shown(value)}` };
}

/** One `invalid` finding per detail. */
export function invalidAll(field: string, value: unknown, details: readonly string[]): FieldError[] {
  return details.map((detail) => invalid(field, value, detail));
}

/** JSON from outside. Pure. */
import { CniError } from "./error.ts";

export type Document = Readonly<Record<string, unknown>>;

/** @throws CniError `undecodable` unless it is a JSON object */
export function parseDocument(text: string): Document {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new CniError("undecodable", "the network configuration on stdin is no JSON");
  }
  if (!isObject(value)) throw new CniError("undecodable", "the network configuration must be a JSON object");
  return value;
}

export function isObject(value: unknown): value is Document {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

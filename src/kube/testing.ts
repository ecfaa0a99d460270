/** What the tests of this folder share: objects of one line, and findings as text. */
import { applyDefaults } from "./defaults.ts";
import type { JsonObject } from "./json.ts";
import { kinds, type KindInfo, type Subresource } from "./kinds.ts";
import { prepareForCreate, prepareForUpdate } from "./prepare.ts";
import { validate } from "./validation/index.ts";

/** A kind of the registry by its name; the first of that name. */
export function kindNamed(name: string): KindInfo {
  const kind = kinds.find((info) => info.kind === name);
  if (!kind) throw new Error(`no kind ${name}`);
  return kind;
}

/** The object as it is stored when created. */
export function stored(kind: KindInfo, object: JsonObject): JsonObject {
  return prepareForCreate(kind, applyDefaults(kind, object), () => "abcde");
}

/** The object as it is stored when it replaces `old`. */
export function updated(kind: KindInfo, object: JsonObject, old: JsonObject, part?: Subresource): JsonObject {
  return prepareForUpdate(kind, applyDefaults(kind, object), old, part);
}

const texts = (errors: ReturnType<typeof validate>): string[] =>
  errors.map(({ field, message }) => `${field}: ${message}`);

/** Findings about a new object, `field: message`. */
export function createFindings(kind: KindInfo, object: JsonObject): string[] {
  return texts(validate(kind, stored(kind, object)));
}

/** Findings about a change, each once. */
export function updateFindings(kind: KindInfo, object: JsonObject, old: JsonObject): string[] {
  const before = stored(kind, old);
  return [...new Set(texts(validate(kind, updated(kind, object, before), before)))];
}

export const podTemplate: JsonObject = {
  metadata: { labels: { app: "web" } },
  spec: { containers: [{ name: "c", image: "example.com/app:1" }] },
};

/** A workload with a selector and a template that fit each other. */
export function workload(spec: JsonObject = {}): JsonObject {
  return {
    metadata: { name: "web" },
    spec: { selector: { matchLabels: { app: "web" } }, template: podTemplate, ...spec },
  };
}

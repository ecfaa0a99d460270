import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isJsonObject, type JsonObject } from "./json.ts";
import { kinds } from "./kinds.ts";
import { normalize } from "./normal.ts";
import { prune, unknownFields } from "./prune.ts";
import { schemaOf } from "./schema/index.ts";
import type { FieldType } from "./schema/types.ts";
import { tableCells } from "./tables/index.ts";
import { stored, updated } from "./testing.ts";
import { typeError } from "./type-error.ts";
import { validate } from "./validation/index.ts";

const words = fc.constantFrom(
  "",
  "a",
  "A_",
  "80",
  "10.96.0.1",
  "None",
  "*",
  "RollingUpdate",
  "LoadBalancer",
  "1Gi",
  "/",
  "x y",
);
const anything = fc.oneof(
  words,
  fc.integer({ min: -2, max: 70000 }),
  fc.boolean(),
  fc.constant(null),
  fc.jsonValue({ maxDepth: 2 }),
);

/** Values that mostly fit a type of the schema, and sometimes are anything. */
function valueOf(type: FieldType, depth: number): fc.Arbitrary<unknown> {
  if (depth === 0) return anything;
  const fitting = (): fc.Arbitrary<unknown> => {
    if (type.is === "list") return fc.array(valueOf(type.item, depth - 1), { maxLength: 2 });
    if (type.is === "map") return fc.dictionary(words, valueOf(type.item, depth - 1), { maxKeys: 2 });
    if (type.is === "type") return objectOfType(type.name, depth - 1);
    return type.scalar.startsWith("int") ? fc.integer({ min: -2, max: 70000 }) : words;
  };
  return fc.oneof({ weight: 5, arbitrary: fitting() }, { weight: 1, arbitrary: anything });
}

function objectOfType(name: string, depth: number): fc.Arbitrary<JsonObject> {
  const fields = [...(schemaOf(name)?.fields.values() ?? [])];
  const shape = Object.fromEntries(fields.map((field) => [field.name, valueOf(field.type, depth)]));
  return fc.record(shape, { requiredKeys: [] });
}

for (const kind of kinds) {
  test(`no ${kind.kind} of any shape (${kind.schema}) upsets decoding, defaults, validation or tables`, () => {
    const object = objectOfType(kind.schema, 3);
    fc.assert(
      fc.property(object, object, (first, second) => {
        typeError(kind, first);
        unknownFields(kind, prune(kind, first));
        const old = stored(kind, first);
        const next = updated(kind, second, old);
        for (const errors of [
          validate(kind, old),
          validate(kind, next, old),
          validate(kind, next, old, "status"),
        ]) {
          for (const { field, message } of errors) assert.ok(typeof field === "string" && message.length > 0);
        }
        tableCells(kind, first, new Date());
        if (typeError(kind, old) === undefined && isJsonObject(old["metadata"])) {
          assert.deepEqual(normalize(kind.schema, old), old);
        }
      }),
      { numRuns: 40 },
    );
  });
}

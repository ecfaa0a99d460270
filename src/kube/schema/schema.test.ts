import assert from "node:assert/strict";
import { test } from "node:test";
import { kinds } from "../kinds.ts";
import { schemaOf } from "./index.ts";
import { parseField } from "./notation.ts";
import type { FieldType } from "./types.ts";

test("one line says everything about a field", () => {
  const ports = parseField(
    "ports",
    "[]ServicePort required patch=merge(port) list=map(port,protocol)",
    "core.v1",
  );
  assert.deepEqual(ports.type, { is: "list", item: { is: "type", name: "core.v1.ServicePort" } });
  assert.equal(ports.required, true);
  assert.equal(ports.patchMergeKey, "port");
  assert.deepEqual(ports.patchStrategies, ["merge"]);
  assert.deepEqual([ports.listType, ports.listKeys], ["map", ["port", "protocol"]]);
  const policy = parseField("policy", "*string default=Local enum=Cluster|Local", "core.v1");
  assert.deepEqual([policy.pointer, policy.default, policy.enum], [true, "Local", ["Cluster", "Local"]]);
  assert.deepEqual(parseField("m", "{}quantity", "core.v1").type, {
    is: "map",
    item: { is: "scalar", scalar: "quantity" },
  });
  assert.equal(parseField("b", "*bool default=false", "core.v1").default, false);
  assert.equal(parseField("a", "string required omitempty", "core.v1").always, false);
});

function inner(type: FieldType): string | undefined {
  if (type.is === "scalar") return undefined;
  return type.is === "type" ? type.name : inner(type.item);
}

test("every type that a kind reaches is in the schema files, with the keys by which its lists merge", () => {
  const seen = new Set<string>();
  const todo = kinds.map((kind) => kind.schema);
  for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    const schema = schemaOf(name);
    assert.ok(schema, name);
    for (const field of schema.fields.values()) {
      const next = inner(field.type);
      if (next !== undefined) todo.push(next);
      const keys = [...field.listKeys, ...(field.patchMergeKey === undefined ? [] : [field.patchMergeKey])];
      for (const key of keys)
        assert.ok(next !== undefined && schemaOf(next)?.fields.has(key), `${name}.${field.name}`);
    }
  }
  assert.ok(seen.size > 200);
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { duplicateFields, jsonError } from "./strict-json.ts";

describe("fields that stand twice in JSON", () => {
  const cases: readonly (readonly [title: string, json: string, expected: readonly string[]])[] = [
    ["none", '{"a":{"b":1},"c":[{"b":1},{"b":2}]}', []],
    ["at the top", '{"a":1,"a":2}', ['duplicate field "a"']],
    ["in a map", '{"data":{"a":"1","a":"2"}}', ['duplicate field "data.a"']],
    ["in a list", '{"l":[{"x":1},{"y":1,"y":2}]}', ['duplicate field "l[1].y"']],
    ["three times, told once", '{"a":1,"a":2,"a":3}', ['duplicate field "a"']],
    ["written in another way", '{"a":1,"\\u0061":2}', ['duplicate field "a"']],
    ["values that look like keys", '{"a":"x\\":1,\\"a","b":["a","a"]}', []],
    ["after a nested object", '{"a":{"x":1},"b":{"x":1},"a":2}', ['duplicate field "a"']],
  ];
  for (const [title, json, expected] of cases) {
    it(title, () => assert.deepEqual(duplicateFields(json), expected));
  }

  it("is quiet about whatever JSON.stringify writes", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => assert.deepEqual(duplicateFields(JSON.stringify(value)), [])),
    );
  });

  it("stays linear: a deep and long text takes no time", () => {
    const text = `${'{"a":['.repeat(20_000)}1${"]}".repeat(20_000)}`;
    const start = performance.now();
    duplicateFields(text);
    assert.ok(performance.now() - start < 5000);
  });
});

describe("why a text is not JSON, in Go's words", () => {
  const cases = [
    ['{"a":1,', "unexpected end of JSON input"],
    ["", "unexpected end of JSON input"],
    ['{"a":"b', "unexpected end of JSON input"],
    ['{"a":1} x', "invalid character 'x' after top-level value"],
    ["hello", "invalid character 'h' looking for beginning of value"],
  ] as const;
  for (const [text, expected] of cases) {
    it(JSON.stringify(text), () => {
      assert.throws(
        () => JSON.parse(text),
        (error) => jsonError(text, error) === expected || assert.fail(jsonError(text, error)),
      );
    });
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { accountOf } from "./account.ts";

test("a stand-in's answer is its account", () => {
  const body = `{"pod":"api-1","namespace":"default","node":"node-a","address":"10.244.0.5","peer":{"address":"10.244.0.3","port":4}}\n`;
  const account = {
    pod: "api-1",
    namespace: "default",
    node: "node-a",
    address: "10.244.0.5",
    peer: "10.244.0.3",
  };
  assert.deepEqual(accountOf(body), account);
});

test("other bodies are no account", () => {
  for (const body of ["", "hello", "null", "[]", `{"pod":"a"}`, `{"pod":1,"namespace":"x"}`]) {
    assert.equal(accountOf(body), undefined, body);
  }
});

test("no body makes it throw", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (body) => void accountOf(body)),
    { numRuns: 200 },
  );
});

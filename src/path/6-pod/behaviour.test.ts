import { test } from "node:test";
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { behaviourFor, changeBehaviour, goodBehaviour } from "./behaviour.ts";

test("a query changes what it names and keeps the rest", () => {
  assert.deepEqual(changeBehaviour(goodBehaviour, "?delayMs=200&ready=false&onSigterm=exit"), {
    delayMs: 200,
    status: 200,
    ready: false,
    onSigterm: "exit",
  });
});

for (const query of [
  "delayMs=-1",
  "delayMs=600001",
  "status=600",
  "status=99",
  "ready=maybe",
  "onSigterm=run",
  "other=1",
]) {
  test(`${query} is refused`, () => assert.ok("problem" in changeBehaviour(goodBehaviour, query)));
}

test("headers act on one request; a bad one is ignored", () => {
  assert.equal(
    behaviourFor(goodBehaviour, { "x-inroad-status": "503", "x-inroad-delay-ms": "5" }).delayMs,
    5,
  );
  assert.equal(behaviourFor(goodBehaviour, { "x-inroad-status": "abc" }), goodBehaviour);
});

test("no query makes it throw, and every result is in range", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), (query) => {
      const next = changeBehaviour(goodBehaviour, query);
      assert.ok("problem" in next || (next.status >= 200 && next.status < 600 && next.delayMs >= 0));
    }),
  );
});

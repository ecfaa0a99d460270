import assert from "node:assert/strict";
import { test } from "node:test";
import { createManualClock } from "#client";
import type { Finding } from "#model";
import { createFindingWatch } from "./finding-events.ts";

function finding(code: string, severity: Finding["severity"] = "error"): Finding {
  const object = { kind: "Ingress", namespace: "shop", name: "web" };
  return { code, severity, object, message: code, affectsRouting: true };
}

function watched() {
  const clock = createManualClock();
  const told: string[] = [];
  return { clock, told, watch: createFindingWatch(clock, ({ code }) => told.push(code)) };
}

test("a finding is told once it has lasted a second, and only once", () => {
  const { clock, told, watch } = watched();
  assert.equal(watch.update([finding("A")]), 1000);
  clock.advance(400);
  assert.equal(watch.update([finding("A"), finding("B")]), 600);
  clock.advance(600);
  assert.equal(watch.update([finding("A"), finding("B")]), 400);
  assert.deepEqual(told, ["A"]);
  clock.advance(400);
  assert.equal(watch.update([finding("A"), finding("B")]), undefined);
  assert.deepEqual(told, ["A", "B"]);
});

test("a finding that goes in time is never told; one that comes back is told again", () => {
  const { clock, told, watch } = watched();
  watch.update([finding("A")]);
  watch.update([]);
  clock.advance(1000);
  watch.update([finding("A")]);
  assert.deepEqual(told, []);
  for (let count = 0; count < 2; count += 1) {
    clock.advance(1000);
    watch.update([finding("A")]);
    watch.update([]);
    watch.update([finding("A")]);
  }
  assert.deepEqual(told, ["A", "A"]);
});

test("mere information is no event", () => {
  const { clock, told, watch } = watched();
  assert.equal(watch.update([finding("A", "info")]), undefined);
  clock.advance(5000);
  watch.update([finding("A", "info")]);
  assert.deepEqual(told, []);
});

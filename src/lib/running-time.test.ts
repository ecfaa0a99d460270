import assert from "node:assert/strict";
import { test } from "node:test";
import { manualClock } from "./clock-testing.ts";
import { afterRunning } from "./running-time.ts";

test("it is called once, when the time has passed", () => {
  const clock = manualClock();
  let calls = 0;
  afterRunning(300, () => (calls += 1), clock);
  clock.advance(299);
  assert.equal(calls, 0);
  clock.advance(1);
  assert.equal(calls, 1);
  clock.advance(1000);
  assert.equal(calls, 1);
});

test("time in which nothing ran counts as one part of six at most", () => {
  const clock = manualClock();
  let calls = 0;
  afterRunning(300, () => (calls += 1), clock);
  clock.stall(10_000);
  clock.advance(249);
  assert.equal(calls, 0);
  clock.advance(1);
  assert.equal(calls, 1);
});

test("what was prevented is not called, at the beginning or in between", () => {
  for (const passed of [0, 120]) {
    const clock = manualClock();
    const cancel = afterRunning(300, () => assert.fail("called"), clock);
    clock.advance(passed);
    cancel();
    clock.advance(1000);
  }
});

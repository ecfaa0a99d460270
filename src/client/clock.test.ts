import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "./clock.ts";

const day = 86_400_000;

test("the clock of the system begins at the time of day", () => {
  assert.ok(Math.abs(systemClock.now() - Date.now()) < 60_000);
  assert.ok(Number.isInteger(systemClock.now()));
});

for (const jump of [day, -day]) {
  test(`whoever sets the machine's clock by ${jump / day} day does not move it`, (t) => {
    const before = systemClock.now();
    const real = Date.now;
    t.mock.method(Date, "now", () => real() + jump);
    const passed = systemClock.now() - before;
    assert.ok(passed >= 0 && passed < 60_000, `${passed} ms`);
  });
}

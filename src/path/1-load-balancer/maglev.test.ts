import assert from "node:assert/strict";
import { test } from "node:test";
import { assert as check, integer, property } from "fast-check";
import { MAGLEV_SLOTS, maglevTable } from "./maglev.ts";

const named = (count: number): string[] => Array.from({ length: count }, (_, index) => `node-${index}`);

/** Slots that have another node now, by the node that they had. */
function moved(before: readonly string[], after: readonly string[]): string[] {
  return before.filter((node, slot) => node !== after[slot]);
}

test("no two nodes differ by more than one slot", () => {
  check(
    property(integer({ min: 1, max: 60 }), (count) => {
      const nodes = named(count);
      const table = maglevTable(nodes);
      const shares = nodes.map((node) => table.filter((one) => one === node).length);
      assert.equal(table.length, MAGLEV_SLOTS);
      assert.ok(Math.max(...shares) - Math.min(...shares) <= 1, shares.join());
    }),
  );
});

for (const [count, most] of [
  [2, 0],
  [3, 0.02],
  [10, 0.05],
  [20, 0.07],
] as const) {
  test(`when one of ${count} nodes leaves, its slots move, and at most ${most * 100} % beside them`, () => {
    const nodes = named(count);
    const before = maglevTable(nodes);
    for (const gone of nodes) {
      const after = maglevTable(nodes.filter((node) => node !== gone));
      assert.ok(!after.includes(gone));
      const others = moved(before, after).filter((node) => node !== gone);
      assert.ok(others.length / MAGLEV_SLOTS <= most, `${others.length} slots of others than ${gone}`);
    }
  });
}

test("when a node comes back, everything is as it was before it left", () => {
  assert.deepEqual(maglevTable(named(5)), maglevTable([...named(4), "node-4"]));
});

test("without nodes there are no slots", () => assert.deepEqual(maglevTable([]), []));

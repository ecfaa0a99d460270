import { test } from "node:test";
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { backendKey } from "./rotation.ts";
import type { Backend } from "./rotation.ts";
import { hashSlots, weightedTurns } from "./spread.ts";

const backends = (count: number): Backend[] =>
  Array.from({ length: count }, (_, i) => ({ address: `10.244.0.${i + 2}`, port: 8080 }));
const weightsOf = (...weights: readonly number[]) =>
  new Map(backends(weights.length).map((backend, i) => [backendKey(backend), weights[i] ?? 1]));
const names = (turns: readonly Backend[]): string => turns.map(({ address }) => address.slice(9)).join("");

test("turns are spread, not bunched", () => {
  assert.equal(names(weightedTurns(backends(3), weightsOf(5, 1, 1))), "2232422");
  assert.equal(names(weightedTurns(backends(2), weightsOf(2, 1))), "232");
});

test("equal weights are plain round robin, however large they are", () => {
  assert.equal(names(weightedTurns(backends(3), weightsOf(100, 100, 100))), "234");
  assert.equal(names(weightedTurns(backends(3), new Map())), "234");
});

test("each endpoint has as many turns as its weight, and windows are even", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 8 }), (weights) => {
      const turns = weightedTurns(backends(weights.length), weightsOf(...weights));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      for (const [i, backend] of backends(weights.length).entries()) {
        const count = turns.filter((turn) => turn.address === backend.address).length;
        assert.equal(count * total, (weights[i] ?? 0) * turns.length);
        // Up to any turn it had about its share: never a whole round ahead or behind.
        let had = 0;
        for (const [at, turn] of turns.entries()) {
          if (turn.address === backend.address) had += 1;
          assert.ok(Math.abs(had - ((at + 1) * count) / turns.length) < weights.length);
        }
      }
    }),
  );
});

test("a sequence never gets too long, and nobody is left out", () => {
  const weights = Array.from({ length: 100 }, (_, i) => (i % 100) + 1);
  const turns = weightedTurns(backends(100), weightsOf(...weights));
  assert.ok(turns.length <= 1200, `${turns.length}`);
  assert.equal(new Set(turns.map(backendKey)).size, 100);
});

test("an endpoint that leaves moves only the sources that were its own", () => {
  const before = hashSlots(backends(4));
  const after = hashSlots(backends(3));
  assert.equal(before.length, 64);
  for (const [slot, backend] of before.entries()) {
    if (backend.address !== "10.244.0.5") assert.deepEqual(after[slot], backend);
  }
});

test("the slots of a source hash are shared about evenly", () => {
  const slots = hashSlots(backends(8));
  for (const { address } of backends(8)) {
    const share = slots.filter((slot) => slot.address === address).length;
    assert.ok(share >= 6 && share <= 30, `${address}: ${share} of ${slots.length}`);
  }
});

import { test } from "node:test";
import assert from "node:assert/strict";
import * as fc from "fast-check";
import type { EndpointList } from "../plan.ts";
import { emptyLayout, layOut } from "./layout.ts";
import type { Layout } from "./layout.ts";

function lists(sizes: Readonly<Record<string, number>>): ReadonlyMap<string, EndpointList> {
  return new Map(
    Object.entries(sizes).map(([key, size]) => [
      key,
      {
        key,
        family: "IPv4",
        protocol: "TCP",
        scheduler: "rr",
        slots: Array.from({ length: size }, (_, i) => ({ address: "10.0.0.1", port: i + 1 })),
      },
    ]),
  );
}

function keysOf(layout: Layout, sizes: Readonly<Record<string, number>>): number[] {
  return Object.entries(sizes).flatMap(([key, size]) =>
    Array.from({ length: size }, (_, slot) => (layout.blocks.get(key)?.offset ?? NaN) + slot),
  );
}

test("a list that still fits keeps its block", () => {
  const before = layOut(emptyLayout, lists({ a: 3, b: 2 }));
  assert.deepEqual(layOut(before, lists({ a: 4, b: 2 })).blocks, before.blocks);
});

test("a block that is given up is used again, but not at once", () => {
  const before = layOut(emptyLayout, lists({ a: 3 }));
  const swapped = layOut(before, lists({ b: 3 }));
  assert.notEqual(swapped.blocks.get("b")?.offset, before.blocks.get("a")?.offset);
  const later = layOut(swapped, lists({ b: 3, c: 4 }));
  assert.equal(later.blocks.get("c")?.offset, before.blocks.get("a")?.offset);
});

test("no two lists share a key, whatever comes and goes, and numbers are not wasted", () => {
  const sizes = fc.dictionary(fc.constantFrom("a", "b", "c", "d", "e"), fc.integer({ min: 1, max: 9 }));
  fc.assert(
    fc.property(fc.array(sizes, { maxLength: 20 }), (history) => {
      let layout = emptyLayout;
      for (const step of history) {
        const next = layOut(layout, lists(step));
        const keys = keysOf(next, step);
        assert.equal(new Set(keys).size, keys.length);
        // Nothing new lies where a list that is going still has its keys.
        for (const [key, block] of next.blocks) {
          for (const [other, old] of layout.blocks) {
            if (key !== other) assert.notEqual(block.offset, old.offset);
          }
        }
        layout = next;
      }
      assert.ok(layout.end <= 5 * (1 + 2 + 4 + 8 + 16) * 2);
    }),
  );
});

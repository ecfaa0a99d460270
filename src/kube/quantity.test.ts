import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { canonicalQuantity, compareQuantities, formatQuantity, parseQuantity } from "./quantity.ts";

test("quantities get the largest suffix with a whole mantissa, in the notation they were written in", () => {
  const table: readonly (readonly [string | number, string])[] = [
    ["1", "1"],
    [2, "2"],
    ["0", "0"],
    ["-0", "0"],
    ["0.5", "500m"],
    ["1e-1", "100e-3"],
    ["1048576Ki", "1Gi"],
    ["1536Mi", "1536Mi"],
    ["512Ki", "512Ki"],
    ["1000m", "1"],
    ["1000", "1k"],
    ["1G", "1G"],
    ["0.1Gi", "107374182400m"],
    ["1E3", "1e3"],
    ["1E", "1E"],
    ["-1", "-1"],
    ["0.0000000001", "1n"],
    ["2.", "2"],
  ];
  for (const [text, canonical] of table) assert.equal(canonicalQuantity(text), canonical, String(text));
});

test("text that is no quantity stays as it is", () => {
  for (const text of ["", "x", "1 Gi", "1gi", "--1", ".", "1e", "1".repeat(65), "1e999"]) {
    assert.equal(parseQuantity(text), undefined, text);
    assert.equal(canonicalQuantity(text), text);
  }
});

test("quantities compare by value, whatever their notation", () => {
  assert.equal(compareQuantities("1Gi", "1024Mi"), 0);
  assert.equal(compareQuantities("100m", "0.1"), 0);
  assert.equal(compareQuantities("1G", "1Gi"), -1);
  assert.equal(compareQuantities("2", "1"), 1);
});

test("the canonical form has the same value and is its own canonical form", () => {
  const suffix = fc.constantFrom("", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3", "e-2");
  fc.assert(
    fc.property(fc.integer({ min: -1_000_000, max: 1_000_000 }), suffix, (number, unit) => {
      const text = `${number}${unit}`;
      const canonical = canonicalQuantity(text);
      assert.equal(compareQuantities(text, canonical), 0);
      assert.equal(canonicalQuantity(canonical), canonical);
    }),
  );
});

test("formatting what was parsed never fails", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 80 }), (text) => {
      const quantity = parseQuantity(text);
      if (quantity) assert.ok(formatQuantity(quantity).length > 0);
    }),
  );
});

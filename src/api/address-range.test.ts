import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRange } from "./address-range.ts";

const table: readonly (readonly [string, number, number, string, string])[] = [
  ["10.96.0.0/16", 65_534, 256, "10.96.0.1", "10.96.255.254"],
  ["10.96.7.9/28", 14, 16, "10.96.7.1", "10.96.7.14"],
  ["10.0.0.0/8", 16_777_214, 256, "10.0.0.1", "10.255.255.254"],
  ["fd00:10:96::/112", 65_535, 256, "fd00:10:96::1", "fd00:10:96::ffff"],
  ["fd00:10:96::/120", 255, 16, "fd00:10:96::1", "fd00:10:96::ff"],
];

for (const [cidr, size, reserved, first, last] of table) {
  test(`${cidr} has ${size} addresses`, () => {
    const range = parseRange(cidr);
    assert.deepEqual([range.size, range.reserved], [size, reserved]);
    assert.deepEqual([range.addressAt(0), range.addressAt(size - 1)], [first, last]);
    assert.ok(range.contains(first) && range.contains(last));
  });
}

test("the network's own address, the broadcast address and the other family are outside", () => {
  const [four, six] = [parseRange("10.96.0.0/16"), parseRange("fd00:10:96::/112")];
  for (const address of ["10.96.0.0", "10.96.255.255", "10.97.0.1", "fd00:10:96::1", "None", ""]) {
    assert.equal(four.contains(address), false, address);
  }
  for (const address of ["fd00:10:96::", "fd00:10:97::1", "10.96.0.1"]) {
    assert.equal(six.contains(address), false, address);
  }
  assert.ok(six.contains("FD00:10:96:0::5"));
});

test("a huge range is gone through in part, and known as a whole", () => {
  const range = parseRange("fd00::/64");
  assert.equal(range.size, 2 ** 32);
  assert.ok(range.contains("fd00::ffff:ffff:ffff:ffff"));
});

test("a single address leaves nothing to give out; text is no range", () => {
  assert.equal(parseRange("10.96.0.1/32").size, 0);
  assert.equal(parseRange("fd00::1/128").size, 0);
  assert.throws(() => parseRange("10.96.0.0"), /write it like/);
});

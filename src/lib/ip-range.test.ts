import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { inNetwork, numberAddress } from "./ip.ts";
import { isInRange, networksOf, parseRange, rangesOverlap } from "./ip-range.ts";

const networks: readonly [text: string, networks: readonly string[]][] = [
  ["203.0.113.128/25", ["203.0.113.128/25"]],
  ["203.0.113.200-203.0.113.202", ["203.0.113.200/31", "203.0.113.202/32"]],
  ["203.0.113.7 - 203.0.113.8", ["203.0.113.7/32", "203.0.113.8/32"]],
  ["0.0.0.0-255.255.255.255", ["0.0.0.0/0"]],
  ["2001:db8:203:113:8000::/65", ["2001:db8:203:113:8000::/65"]],
  ["2001:db8::ffff-2001:db8::1:0", ["2001:db8::ffff/128", "2001:db8::1:0/128"]],
];
for (const [text, expected] of networks) {
  test(`${text} is ${expected.join(" and ")}`, () => {
    const range = parseRange(text);
    assert.ok(range);
    assert.deepEqual(networksOf(range), expected);
  });
}

test("what is no range: single addresses, host bits, ends of two families or in the wrong order, other text", () => {
  const texts = ["203.0.113.1", "203.0.113.129/25", "10.0.0.1-fd00::1", "10.0.0.2-10.0.0.1"];
  for (const text of [
    ...texts,
    "10.0.0.0-10.0.0.1-10.0.0.2",
    "10.0.0.0/33",
    "",
    "-",
    "a-b",
    "/",
    "::1%lo/128",
  ]) {
    assert.equal(parseRange(text), undefined, text);
  }
});

const range = fc
  .tuple(fc.constantFrom("IPv4" as const, "IPv6" as const), fc.nat(1000), fc.nat(1000))
  .map(([family, first, size]) => {
    const base = 0x0a000000n + BigInt(first);
    return { family, first: base, last: base + BigInt(size) };
  });

test("an address lies in one of a range's networks if it lies in the range, and in no two of them", () => {
  fc.assert(
    fc.property(range, fc.nat(2100), (one, offset) => {
      const address = numberAddress(0x0a000000n + BigInt(offset), one.family);
      const holders = networksOf(one).filter((network) => inNetwork(address, network));
      assert.equal(holders.length, isInRange(address, one) ? 1 : 0);
    }),
  );
});

test("ranges overlap if they have an address in common", () => {
  fc.assert(
    fc.property(range, range, (a, b) => {
      const ends = [a.first, a.last, b.first, b.last].map((end) => numberAddress(end, a.family));
      assert.equal(
        rangesOverlap(a, b),
        ends.some((end) => isInRange(end, a) && isInRange(end, b)),
      );
    }),
  );
});

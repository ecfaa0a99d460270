import assert from "node:assert/strict";
import { test } from "node:test";
import { bits, context, integer, octets, oid, sequence, time, utf8 } from "./der.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test("values have tag, length and content", () => {
  const cases: readonly (readonly [Uint8Array, string])[] = [
    [sequence(), "3000"],
    [integer(Buffer.from([2])), "020102"],
    [utf8("ü"), "0c02c3bc"],
    [bits(Buffer.from([0x86]), 1), "03020186"],
    [context(0, true, integer(Buffer.from([2]))), "a003020102"],
    [context(2, false, Buffer.from("a")), "820161"],
    // X.690 section 8.19: two arcs in the first byte, seven bits a byte after it.
    [oid("2.5.29.19"), "0603551d13"],
    [oid("1.2.840.10045.4.3.2"), "06082a8648ce3d040302"],
  ];
  for (const [value, expected] of cases) assert.equal(hex(value), expected);
});

test("a length beyond 127 says in how many bytes it stands", () => {
  const headOf = (length: number): string => hex(octets(Buffer.alloc(length)).subarray(0, -length));
  assert.deepEqual([127, 128, 255, 256, 65_536].map(headOf), [
    "047f",
    "048180",
    "0481ff",
    "04820100",
    "0483010000",
  ]);
});

test("from 2050 on, years have four digits", () => {
  assert.equal(time(new Date("2049-12-31T23:59:59.999Z")).toString("latin1"), "\x17\x0d491231235959Z");
  assert.equal(time(new Date("2050-01-01T00:00:00Z")).toString("latin1"), "\x18\x0f20500101000000Z");
});

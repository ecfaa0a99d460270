import { test } from "node:test";
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { attribute, dumpPiece, message, u8 } from "./netlink-bytes.ts";
import { readEntry } from "./unanswered.ts";

const address = (text: string): Buffer => Buffer.from(text.split(".").map(Number));

function tuple(type: number, source: string, destination: string, ports: readonly Buffer[]): Buffer {
  const [from = u8(0, 0), to = u8(0, 0)] = ports;
  return attribute(
    type | 0x8000,
    attribute(1 | 0x8000, attribute(1, address(source)), attribute(2, address(destination))),
    attribute(2 | 0x8000, attribute(1, u8(6)), attribute(2, from), attribute(3, to)),
  );
}

const entry = (status: number): Buffer =>
  Buffer.concat([
    u8(2, 0, 0, 0),
    tuple(1, "10.244.0.2", "10.96.0.7", [u8(0x9c, 0x40), u8(0, 80)]),
    tuple(2, "10.244.1.3", "10.244.0.2", [u8(0x1f, 0x90), u8(0x9c, 0x40)]),
    attribute(3, u8(0, 0, 0, status)),
  ]);

test("a translated entry without an answer names both ends and the endpoint", () => {
  assert.deepEqual(readEntry(entry(0x28)), {
    original: { source: "10.244.0.2", destination: "10.96.0.7", sourcePort: 40_000, destinationPort: 80 },
    endpoint: { address: "10.244.1.3", port: 8080 },
  });
});

test("an answered entry, and one that was not translated, are none", () => {
  assert.equal(readEntry(entry(0x2a)), undefined);
  assert.equal(readEntry(entry(0x08)), undefined);
});

test("a piece of a dump is cut into its messages, and its end is seen", () => {
  const two = Buffer.concat([message(256, 0, u8(1, 2, 3, 4)), message(256, 0, u8(5, 6, 7, 8))]);
  assert.deepEqual(dumpPiece(two), { bodies: [u8(1, 2, 3, 4), u8(5, 6, 7, 8)], last: false });
  assert.deepEqual(dumpPiece(Buffer.concat([two, message(3, 0, u8(0, 0, 0, 0))])).last, true);
});

test("no bytes make the readers throw or run for ever", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      dumpPiece(Buffer.from(bytes));
      readEntry(Buffer.from(bytes));
    }),
  );
});

/** PROXY headers against random bytes: nothing throws, no more is read than is there, what is written is read back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { canonicalAddress } from "#lib/ip";
import { encodeProxyHeader, readProxyHeader } from "#wire/proxy-protocol";

const run = { numRuns: 100_000, interruptAfterTimeLimit: 1_500, markInterruptAsFailure: false };

const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n");
/** Bytes that are likely to get far. */
const beginning = fc.constantFrom(
  Buffer.alloc(0),
  Buffer.from("PROXY "),
  Buffer.from("PROXY TCP4 1.2.3.4 "),
  signature,
  Buffer.concat([signature, Buffer.from([0x21, 0x11, 0, 12])]),
  Buffer.concat([signature, Buffer.from([0x21, 0x21, 0, 40])]),
);

test("random bytes are read the same, however they come in", () => {
  fc.assert(
    fc.property(beginning, fc.uint8Array({ maxLength: 200 }), (start, rest) => {
      const bytes = Buffer.concat([start, rest]);
      const whole = readProxyHeader(bytes);
      if (whole.kind === "header") assert.ok(whole.length <= bytes.length);
      for (let length = 0; length < bytes.length; length += 1) {
        const read = readProxyHeader(bytes.subarray(0, length));
        if (read.kind === "more") continue;
        assert.deepEqual(read, whole);
        break;
      }
    }),
    run,
  );
});

test("every connection is read back as it was written", () => {
  const port = fc.integer({ min: 0, max: 65_535 });
  const address = (text: fc.Arbitrary<string>) => text.map((one) => canonicalAddress(one) ?? "");
  const connection = fc.oneof(
    ...[fc.ipV4(), fc.ipV6()].map((text) => {
      const end = fc.record({ address: address(text), port }, { noNullPrototype: true });
      return fc.record({ source: end, destination: end }, { noNullPrototype: true });
    }),
  );
  fc.assert(
    fc.property(connection, fc.constantFrom("v1" as const, "v2" as const), (given, version) => {
      const header = encodeProxyHeader(version, given);
      assert.deepEqual(readProxyHeader(header), {
        kind: "header",
        length: header.length,
        connection: given,
      });
    }),
    run,
  );
});

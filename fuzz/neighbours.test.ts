/** ARP and Neighbour Discovery against random bytes: nothing throws, and what is written is read back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { canonicalAddress } from "#lib/ip";
import { decodeArp, encodeArp } from "#wire/arp";
import { decodeNeighbour, encodeAdvertisement } from "#wire/ndp";

const run = { numRuns: 20_000, interruptAfterTimeLimit: 1_500, markInterruptAsFailure: false };
const mac = fc
  .array(fc.nat(255), { minLength: 6, maxLength: 6 })
  .map((bytes) => bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":"));
const ipv4 = fc.ipV4();
/** Of one host: no group, and somebody. */
const ipv6 = fc
  .ipV6()
  .map((text) => canonicalAddress(text) ?? "")
  .filter((text) => text !== "" && text !== "::" && !/^ff..:/.test(text));
const arp = fc.record({
  operation: fc.constantFrom("request" as const, "reply" as const),
  senderMac: mac,
  senderAddress: ipv4,
  targetMac: mac,
  targetAddress: ipv4,
});
const advertisement = fc.record({ mac, target: ipv6, to: fc.record({ address: ipv6, mac }) });

/** Noise, and real frames with some bytes changed and the end cut off. */
const frame = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc
    .tuple(
      fc.oneof(
        fc.tuple(arp, mac).map(([message, to]) => encodeArp(message, to)),
        advertisement.map(encodeAdvertisement),
      ),
      fc.array(fc.tuple(fc.nat(85), fc.nat(255)), { maxLength: 4 }),
      fc.nat(100),
    )
    .map(([bytes, changes, length]) => {
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      return bytes.subarray(0, length);
    }),
);

test("any bytes are a message or none", () => {
  fc.assert(
    fc.property(frame, (bytes) => {
      const message = decodeArp(bytes) ?? decodeNeighbour(bytes);
      assert.ok(message === undefined || bytes.length >= 42);
    }),
    run,
  );
});

test("an ARP message that is written is read back", () => {
  fc.assert(
    fc.property(arp, mac, (message, to) =>
      assert.deepEqual(decodeArp(encodeArp(message, to)), { ...message }),
    ),
    run,
  );
});

test("an advertisement that is written is read back", () => {
  fc.assert(
    fc.property(advertisement, (message) => {
      const { mac: owner, target } = message;
      const expected = { kind: "advertisement", source: target, mac: owner, target };
      assert.deepEqual(decodeNeighbour(encodeAdvertisement(message)), expected);
    }),
    run,
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeNeighbour, encodeAdvertisement, solicitedNode } from "./ndp.ts";

const mac = "02:00:00:00:00:0a";
const target = "2001:db8::200";

/**
 * As Linux sends it: 2001:db8::50 asks for 2001:db8::200 at the group of that address. The pieces are Ethernet and IPv6 header,
 * the two addresses, the message up to its target, and the option with the sender's own address.
 */
const question =
  "3333ff00020002000000005086dd" +
  "6000000000203aff" +
  "20010db8000000000000000000000050" +
  "ff0200000000000000000001ff000200" +
  "8700178d00000000" +
  "20010db8000000000000000000000200" +
  "0101020000000050";
const solicitation = Buffer.from(question, "hex");

test("a solicitation is read", () => {
  assert.deepEqual(decodeNeighbour(solicitation), {
    kind: "solicitation",
    source: "2001:db8::50",
    mac: "02:00:00:00:00:50",
    target,
  });
});

for (const [what, at, value] of [
  ["another type of frame", 13, 0],
  ["another protocol", 20, 17],
  ["one that was forwarded", 21, 254],
  ["another type", 54, 133],
  ["another code", 55, 1],
  ["a wrong checksum", 56, 0],
  ["a length beyond the frame", 19, 0x30],
  ["an option without length", 79, 0],
  ["an option beyond the message", 79, 2],
] as const) {
  test(`${what} is not read`, () => {
    const bytes = Buffer.from(solicitation);
    bytes[at] = value;
    assert.equal(decodeNeighbour(bytes), undefined);
  });
}

test("a frame that is cut off is not read", () => {
  for (let length = 0; length < solicitation.length; length++)
    assert.equal(decodeNeighbour(solicitation.subarray(0, length)), undefined);
});

test("an answer goes to the one who asked, and overrides what is cached", () => {
  const frame = encodeAdvertisement({
    mac,
    target,
    to: { address: "2001:db8::50", mac: "02:00:00:00:00:50" },
  });
  assert.equal(frame.toString("hex", 0, 14), "02000000005002000000000a86dd");
  assert.equal(frame.toString("hex", 58, 62), "60000000", "solicited, override");
  assert.deepEqual(decodeNeighbour(frame), { kind: "advertisement", source: target, mac, target });
});

test("an announcement goes to all nodes and answers nobody", () => {
  const frame = encodeAdvertisement({ mac, target });
  assert.equal(frame.toString("hex", 0, 6), "333300000001");
  assert.equal(frame.toString("hex", 38, 54), "ff020000000000000000000000000001");
  assert.equal(frame.toString("hex", 58, 62), "20000000", "override");
  assert.equal(decodeNeighbour(frame)?.target, target);
});

test("who asks without an address of its own is answered for all to hear", () => {
  const to = { address: "::", mac: "02:00:00:00:00:50" };
  assert.deepEqual(encodeAdvertisement({ mac, target, to }), encodeAdvertisement({ mac, target }));
});

test("questions about an address come to a group made of its last three bytes", () => {
  assert.equal(solicitedNode("2001:db8::12:3456:789a"), "ff02::1:ff56:789a");
  assert.equal(solicitedNode("2001:db8::80"), "ff02::1:ff00:80");
});

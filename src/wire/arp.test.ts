import assert from "node:assert/strict";
import { test } from "node:test";
import { arpAnnouncements, decodeArp, encodeArp } from "./arp.ts";
import { BROADCAST } from "./ethernet.ts";

const mac = "02:00:00:00:00:0a";

/** As tcpdump shows it: who-has 192.0.2.200 tell 192.0.2.50. */
const request = Buffer.from(
  "ffffffffffff02000000005008060001080006040001020000000050c0000232000000000000c00002c8",
  "hex",
);

test("a request is read", () => {
  assert.deepEqual(decodeArp(request), {
    operation: "request",
    senderMac: "02:00:00:00:00:50",
    senderAddress: "192.0.2.50",
    targetMac: "00:00:00:00:00:00",
    targetAddress: "192.0.2.200",
  });
});

test("padding after a message does not matter", () => {
  assert.deepEqual(decodeArp(Buffer.concat([request, Buffer.alloc(18)])), decodeArp(request));
});

for (const [what, at, value] of [
  ["another type of frame", 13, 0],
  ["another kind of hardware", 15, 6],
  ["another protocol than IPv4", 16, 0x86],
  ["addresses of other lengths", 18, 8],
  ["an operation of RARP", 21, 3],
] as const) {
  test(`${what} is not read`, () => {
    const bytes = Buffer.from(request);
    bytes[at] = value;
    assert.equal(decodeArp(bytes), undefined);
  });
}

test("a frame that is cut off is not read", () => {
  for (let length = 0; length < request.length; length++)
    assert.equal(decodeArp(request.subarray(0, length)), undefined);
});

test("a reply goes to the one who asked, from the one whose address it is", () => {
  const reply = {
    operation: "reply",
    senderMac: mac,
    senderAddress: "192.0.2.200",
    targetMac: "02:00:00:00:00:50",
    targetAddress: "192.0.2.50",
  } as const;
  const frame = encodeArp(reply, reply.targetMac);
  assert.equal(
    frame.toString("hex"),
    "02000000005002000000000a0806000108000604000202000000000ac00002c8020000000050c0000232",
  );
  assert.deepEqual(decodeArp(frame), reply);
});

test("an announcement is a request and a reply to all, about its own sender", () => {
  const frames = arpAnnouncements(mac, "192.0.2.200");
  assert.deepEqual(
    frames.map((frame) => decodeArp(frame)?.operation),
    ["request", "reply"],
  );
  for (const frame of frames) {
    const message = decodeArp(frame);
    assert.equal(frame.toString("hex", 0, 6), BROADCAST.replaceAll(":", ""));
    assert.deepEqual(
      [message?.senderMac, message?.senderAddress, message?.targetAddress],
      [mac, "192.0.2.200", "192.0.2.200"],
    );
  }
});

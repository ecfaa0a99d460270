import assert from "node:assert/strict";
import { test } from "node:test";
import { arpAnnouncements, decodeArp, encodeArp } from "#wire/arp";
import { BROADCAST } from "#wire/ethernet";
import { decodeNeighbour, encodeAdvertisement } from "#wire/ndp";
import { manualClock } from "#lib/clock-testing";
import { createResponder } from "./responder.ts";

const own = "02:00:00:00:00:0a";
const other = "02:00:00:00:00:0b";
const client = { mac: "02:00:00:00:00:50", address: "192.0.2.50" };
const VIP = "192.0.2.200";
const VIP6 = "2001:db8::200";

/** As Linux sends it; see ndp.test.ts. */
const question6 = Buffer.from(
  "3333ff00020002000000005086dd6000000000203aff20010db8000000000000000000000050" +
    "ff0200000000000000000001ff0002008700178d0000000020010db80000000000000000000002000101020000000050",
  "hex",
);

function bench() {
  const clock = manualClock();
  let sent: Uint8Array[] = [];
  const claims: string[] = [];
  const counts: string[] = [];
  const responder = createResponder({
    mac: own,
    clock,
    send: (frame) => void sent.push(frame),
    onClaim: (address, mac) => void claims.push(`${address} ${mac}`),
    count: (what, address) => void counts.push(`${what} ${address}`),
  });
  return {
    ...{ responder, clock, claims, counts },
    hold: (terms: Readonly<Record<string, string>>) => responder.hold(new Map(Object.entries(terms))),
    /** What was sent since the last call. */
    sent() {
      const frames = sent;
      sent = [];
      return frames;
    },
  };
}

const question = (address: string, sender = client): Uint8Array =>
  encodeArp(
    {
      operation: "request",
      senderMac: sender.mac,
      senderAddress: sender.address,
      targetMac: "00:00:00:00:00:00",
      targetAddress: address,
    },
    BROADCAST,
  );

test("who asks for a held address is told our device's, who asks for another one nothing", () => {
  const { responder, hold, sent, counts } = bench();
  hold({ [VIP]: "a" });
  sent();
  responder.receive(question("192.0.2.201"));
  assert.deepEqual(sent(), []);
  responder.receive(question(VIP));
  const [reply] = sent();
  assert.ok(reply);
  assert.deepEqual(decodeArp(reply), {
    ...{ operation: "reply", senderMac: own, senderAddress: VIP },
    ...{ targetMac: client.mac, targetAddress: client.address },
  });
  assert.deepEqual(counts, [`announcement ${VIP}`, `request ${VIP}`, `answer ${VIP}`]);
});

test("a probe that looks whether the address is free is told that it is not", () => {
  const { responder, hold, sent } = bench();
  hold({ [VIP]: "a" });
  sent();
  responder.receive(question(VIP, { mac: client.mac, address: "0.0.0.0" }));
  assert.equal(sent().length, 1);
});

test("a solicitation for a held address is answered", () => {
  const { responder, hold, sent } = bench();
  hold({ [VIP6]: "a" });
  sent();
  responder.receive(question6);
  const [reply] = sent();
  assert.ok(reply);
  const to = { address: "2001:db8::50", mac: client.mac };
  assert.deepEqual(reply, encodeAdvertisement({ mac: own, target: VIP6, to }));
  hold({});
  responder.receive(question6);
  assert.deepEqual(sent(), []);
});

test("a new address is announced five times within four seconds, an IPv4 one in both forms", () => {
  const { hold, clock, sent } = bench();
  hold({ [VIP]: "a", [VIP6]: "a" });
  const first = sent();
  assert.deepEqual(
    first.map((frame) => decodeArp(frame)?.operation ?? decodeNeighbour(frame)?.kind),
    ["request", "reply", "advertisement"],
  );
  clock.advance(4000);
  assert.equal(sent().length, 4 * 3);
  clock.advance(60_000);
  assert.equal(sent().length, 0);
});

test("an address is announced anew when its term changes, and only then", () => {
  const { hold, clock, sent } = bench();
  hold({ [VIP]: "a" });
  clock.advance(60_000);
  sent();
  hold({ [VIP]: "a" });
  assert.equal(sent().length, 0);
  hold({ [VIP]: "a b" });
  assert.equal(sent().length, 2);
});

test("an address that is given up is neither answered for nor announced any more", () => {
  const { responder, hold, clock, sent } = bench();
  hold({ [VIP]: "a" });
  sent();
  responder.release(VIP);
  responder.receive(question(VIP));
  clock.advance(60_000);
  assert.deepEqual(sent(), []);
  assert.deepEqual(responder.held(), []);
});

for (const [what, address, frames] of [
  ["ARP", VIP, arpAnnouncements(other, VIP)],
  ["a Neighbour Advertisement", VIP6, [encodeAdvertisement({ mac: other, target: VIP6 })]],
] as const) {
  test(`a claim by ${what} is told, and answered a second later, at most once in ten`, () => {
    const { responder, hold, clock, sent, claims } = bench();
    hold({ [address]: "a" });
    clock.advance(60_000);
    sent();
    for (const frame of frames) responder.receive(frame);
    assert.equal(claims[0], `${address} ${other}`);
    clock.advance(999);
    assert.equal(sent().length, 0);
    clock.advance(5001);
    assert.equal(sent().length, 5 * frames.length);
    for (const frame of frames) responder.receive(frame);
    clock.advance(3000);
    assert.equal(sent().length, 0);
  });
}

test("our own frames are no claim, wherever they come back from", () => {
  const { responder, hold, claims } = bench();
  hold({ [VIP]: "a", [VIP6]: "a" });
  for (const frame of [...arpAnnouncements(own, VIP), encodeAdvertisement({ mac: own, target: VIP6 })])
    responder.receive(frame);
  assert.deepEqual(claims, []);
});

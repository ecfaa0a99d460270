import { test } from "node:test";
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { encodeLine } from "./ip-lines.ts";
import { errnoOf, message } from "./netlink-bytes.ts";

const lookups = { index: () => 7, namespace: () => 9 };
const hex = (program: "ip" | "bridge", line: string): string | undefined =>
  encodeLine(program, line)?.(lookups).toString("hex");

test("a link goes up by one RTM_NEWLINK message with flag and name", () => {
  // length 40, type 16, request+ack, sequence 1, port 0; ifinfomsg with IFF_UP in flags and mask; IFLA_IFNAME "lo"
  const expected =
    "28000000 1000 0500 01000000 00000000 0000 0000 00000000 01000000 01000000 0700 0300 6c6f0000";
  assert.equal(hex("ip", "link set lo up"), expected.replaceAll(" ", ""));
});

test("a host route on a device has link scope", () => {
  // rtmsg: AF_INET, /32, main table, RTPROT_BOOT, scope link, unicast; RTA_DST 10.0.0.2; RTA_OIF 7
  const expected =
    "2c000000 1800 0506 01000000 00000000 02200000 fe03fd01 00000000 0800 0100 0a000002 0800 0400 07000000";
  assert.equal(hex("ip", "route add 10.0.0.2 dev eth0"), expected.replaceAll(" ", ""));
});

const forTheProgram: readonly ["ip" | "bridge", string][] = [
  ["ip", "link delete eth0"],
  ["ip", "link set eth0 netns 5"],
  ["ip", "link add x type dummy"],
  ["ip", "link add x type veth peer name y netns blue"],
  ["ip", "addr add 10.0.0.1/24 dev eth0"],
  ["ip", "address add fd00::1/129 dev eth0"],
  ["ip", "address add 10.0.0.1/99 dev eth0"],
  ["ip", "route add 10.0.0.0/8 via fe80::1 dev eth0"],
  ["ip", "route add fd00::1 dev eth0 scope link"],
  ["ip", "link add x type vxlan id 1 dstport 8472 local fd00::1"],
  ["ip", "rule add from 10.0.0.0/8 fwmark 1 lookup 100 priority 1"],
  ["ip", "-6 route add fd00::1 dev eth0"],
  ["ip", "route add 10.0.0.0/8 via 10.1.1.1 table 1000"],
  ["ip", "route add 10.0.0.0/8 dev"],
  ["ip", "rule add fwmark 1 lookup 100"],
  ["ip", "neighbour replace 10.0.0.1 lladdr 02:00:00:00:00:01 dev eth0"],
  ["bridge", "fdb replace 02:00:00:00:00:01 dev x dst 10.0.0.1"],
  ["ip", ""],
  ["ip", "  link set lo up"],
];
for (const [program, line] of forTheProgram) {
  test(`"${program} ${line}" is left to the program`, () =>
    assert.equal(encodeLine(program, line), undefined));
}

test("no line makes the reader throw", () => {
  const word = fc.constantFrom(
    ...[
      "link",
      "add",
      "set",
      "route",
      "address",
      "neighbour",
      "dev",
      "via",
      "type",
      "veth",
      "vxlan",
      "peer",
      "10.0.0.1",
      "/",
      "up",
      "",
    ],
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 12 }), (words) => {
      encodeLine("ip", words.join(" "))?.(lookups);
    }),
  );
});

test("an answer that is none has no errno", () => {
  assert.equal(errnoOf(Buffer.alloc(3)), undefined);
  assert.equal(errnoOf(message(16, 0, Buffer.alloc(16))), undefined);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => errnoOf(Buffer.from(bytes)) !== null));
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { linkFor } from "../pod-link.ts";
import { compareInside, expectedOf } from "./check.ts";
import { buildResult } from "./result.ts";

const attachment = { containerID: "c1", ifname: "eth0" };
const link = linkFor("cni pods/c1/eth0", ["10.244.0.2"]);
const result = buildResult("1.1.0", { attachment, netns: "/run/netns/c1", link, mtu: 1450 }, {});
const shown = {
  mac: link.mac,
  mtu: 1450,
  up: true,
  addresses: ["10.244.0.2/32", "fe80::1234/64"],
  neighbours: [{ address: "169.254.1.1", mac: "ee:ee:ee:ee:ee:ee" }],
};
const routes = [{ to: "default", via: "169.254.1.1", device: "eth0" }];
const expected = expectedOf(attachment, link, result);

test("what ADD made is as it should be, and so is what a later plugin has added", () => {
  compareInside(expected, shown, [...routes, { to: "192.0.2.0/24", device: "eth0" }]);
});

test("a MAC that a later plugin has set is the one that must be there", () => {
  const mac = "02:00:00:00:00:09";
  const tuned = {
    ...result,
    interfaces: result.interfaces.map((one) => (one.sandbox ? { ...one, mac } : one)),
  };
  compareInside(expectedOf(attachment, link, tuned), { ...shown, mac }, routes);
  assert.throws(() => compareInside(expected, { ...shown, mac }, routes), { kind: "badInterface" });
});

test("each thing that is missing has its own kind of error", () => {
  const cases = [
    ["badInterface", undefined, routes],
    ["badInterface", { ...shown, up: false }, routes],
    ["badInterface", { ...shown, mtu: 1500 }, routes],
    ["badAddress", { ...shown, addresses: ["10.244.0.3/32"] }, routes],
    ["badRoute", shown, []],
    ["badRoute", shown, [{ to: "default", via: "169.254.1.1", device: "eth1" }]],
    ["badRoute", { ...shown, neighbours: [] }, routes],
  ] as const;
  for (const [kind, real, known] of cases)
    assert.throws(() => compareInside(expected, real, known), { kind });
});

test("a previous result that is of something else is refused", () => {
  const other = { containerID: "c1", ifname: "eth1" };
  assert.throws(() => expectedOf(other, link, result), { kind: "badConfig", message: /eth1/ });
  const moved = linkFor("cni pods/c1/eth0", ["10.244.0.7"]);
  assert.throws(() => expectedOf(attachment, moved, result), {
    kind: "notReserved",
    message: /10\.244\.0\.7/,
  });
});

import { test } from "node:test";
import assert from "node:assert/strict";
import { sourceHash } from "./nftables/source-hash.ts";
import { orderOf, rememberedKey } from "./order.ts";
import type { KnownOrder, Order } from "./order.ts";
import type { EndpointList } from "./plan.ts";
import { backendKey } from "./rotation.ts";

const [a, b, c] = ["10.244.0.2", "10.244.0.3", "10.244.1.2"].map((address) => ({ address, port: 8080 }));
assert.ok(a && b && c);
const CLIENT = "203.0.113.10";
const list: EndpointList = { key: "api", family: "IPv4", protocol: "TCP", scheduler: "rr", slots: [a, b, c] };
const turnAtB: KnownOrder = { rotation: new Map([["api", { slots: list.slots, next: 1 }]]) };
const order = (more: Partial<EndpointList>, known: KnownOrder = turnAtB, mode = "nftables"): Order =>
  orderOf({ ...list, ...more }, mode, CLIENT, known);
const told = ({ algorithm, backends, knowsNext }: Order): readonly unknown[] => [
  algorithm,
  backends.map(backendKey).map((key) => key.slice(7, 10)),
  knowsNext,
];

test("whose turn it is comes first, if the kernel was asked", () => {
  assert.deepEqual(told(order({})), ["round robin", ["0.3", "1.2", "0.2"], true]);
  assert.deepEqual(told(order({}, {})), ["round robin", ["0.2", "0.3", "1.2"], false]);
});

test("weights: each endpoint is one possibility, in the order of the next turns", () => {
  const slots = [a, a, b, a, c];
  const known = { rotation: new Map([["api", { slots, next: 2 }]]) };
  assert.deepEqual(told(order({ scheduler: "wrr", slots }, known)), [
    "weighted round robin",
    ["0.3", "0.2", "1.2"],
    true,
  ]);
});

test("a scheduler that the mode cannot keep is named", () => {
  assert.equal(order({ scheduler: "lc" }).algorithm, "round robin (nftables cannot do least connections)");
  assert.equal(
    order({ scheduler: "sh" }, turnAtB, "iptables").algorithm,
    "round robin (iptables cannot do source hash)",
  );
});

test("a source hash names the very endpoint", () => {
  const slots = [a, b, c, a, b, c, a, b];
  const wanted = slots[sourceHash(CLIENT, slots.length)];
  assert.deepEqual(order({ scheduler: "sh", slots }).backends, [wanted]);
});

test("a client that is remembered meets its endpoint again", () => {
  const remembered = new Map([[rememberedKey("api", CLIENT), c]]);
  const { algorithm, backends } = order({ affinitySeconds: 9 }, { ...turnAtB, remembered });
  assert.equal(algorithm, "session affinity ClientIP");
  assert.deepEqual(backends, [c]);
});

test("a client that is not remembered, or for an endpoint that left, takes its turn", () => {
  for (const met of [undefined, { address: "10.244.9.9", port: 8080 }]) {
    const remembered = new Map([[rememberedKey("api", CLIENT), met]]);
    const found = order({ affinitySeconds: 9 }, { ...turnAtB, remembered });
    assert.deepEqual(told(found), [
      "session affinity ClientIP, then round robin",
      ["0.3", "1.2", "0.2"],
      true,
    ]);
  }
});

test("with affinity nothing is certain where nobody was asked for the client", () => {
  assert.deepEqual(told(order({ affinitySeconds: 9 })).at(-1), false);
  assert.equal(order({ affinitySeconds: 9, scheduler: "sh" }).backends.length, 3);
});

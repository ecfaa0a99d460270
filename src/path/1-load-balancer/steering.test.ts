import assert from "node:assert/strict";
import { test } from "node:test";
import type { Steering } from "#kernel";
import type { LoadBalancerPlan, VipPort } from "./plan.ts";
import { steeringWriter } from "./steering.ts";

const client = { address: "198.51.100.1", port: 40_000 };

function planOf(nodes: Readonly<Record<string, boolean>>, more: Partial<VipPort> = {}): LoadBalancerPlan {
  const candidates = Object.entries(nodes).map(([name, eligible]) => ({ name, eligible }));
  const port: VipPort = {
    service: "default/web",
    address: "203.0.113.128",
    protocol: "TCP",
    port: 443,
    policy: "Local",
    algorithm: "round-robin",
    check: { port: 30_500 },
    candidates,
    ...more,
  };
  return { ports: [port], nodes: [], gone: [], targets: [] };
}

/** A writer, and what it said last. */
function writer() {
  let by: ReadonlyMap<string, Steering> = new Map();
  const { write } = steeringWriter({ steer: (next) => (by = next) });
  const take = (count: number, from = client): (string | undefined)[] =>
    Array.from({ length: count }, () => by.get("203.0.113.128 . tcp . 443")?.(from));
  return { write, take };
}

test("healthy nodes take turns, others get nothing", async () => {
  const { write, take } = writer();
  await write(planOf({ a: true, b: false, c: true }));
  assert.deepEqual(take(4), ["a", "c", "a", "c"]);
});

test("the order goes on when a plan changes nothing for an address", async () => {
  const { write, take } = writer();
  await write(planOf({ a: true, b: true }));
  take(1);
  await write(planOf({ a: true, b: true }));
  assert.deepEqual(take(2), ["b", "a"]);
});

test("a node that fails gets nothing more, and where none is healthy nobody does", async () => {
  const { write, take } = writer();
  await write(planOf({ a: true, b: true }));
  await write(planOf({ a: false, b: true }));
  assert.deepEqual(take(2), ["b", "b"]);
  await write(planOf({ a: false, b: false }));
  assert.deepEqual(take(1), [undefined]);
});

test("with source hash a client keeps its node, and clients spread", async () => {
  const { write, take } = writer();
  await write(planOf({ a: true, b: true }, { algorithm: "source-hash" }));
  assert.equal(new Set(take(5)).size, 1);
  const nodes = Array.from({ length: 50 }, (_, i) => take(1, { address: `198.51.100.${i}`, port: 1 })[0]);
  assert.equal(new Set(nodes).size, 2);
});

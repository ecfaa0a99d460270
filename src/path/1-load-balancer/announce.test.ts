import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoint, Snapshot } from "#model";
import { awaitedNodes, createAnnouncer } from "./announce.ts";
import { planLoadBalancer, type Health } from "./plan.ts";
import { snapshotOf, webService } from "./testing.ts";

const refusing: Health = { state: "unhealthy", reason: "answers 503" };

/** A Service with externalTrafficPolicy Local and ready endpoints on these nodes, of the nodes a, b, and c (not Ready). */
function localOn(...nodes: readonly string[]): Snapshot {
  const endpoints = nodes.map((node): Endpoint => ({
    address: "10.244.0.2",
    port: 80,
    node,
    ready: true,
    serving: true,
    terminating: false,
  }));
  const service = webService({
    externalTrafficPolicy: "Local",
    healthCheckNodePort: 32001,
    ports: [{ name: "http", protocol: "TCP", port: 80, targetPort: 80, endpoints }],
  });
  return snapshotOf([service], { a: {}, b: {}, c: { ready: false } });
}

const planOf = (snapshot: Snapshot, unhealthy: readonly string[]) =>
  planLoadBalancer(snapshot, ({ node }) => (unhealthy.includes(node) ? refusing : { state: "healthy" }));

for (const [fact, endpointsOn, unhealthy, expected] of [
  ["a node with endpoints whose check has not passed is awaited", ["a", "b"], ["b"], ["shop/web b"]],
  ["a node whose check has passed is not", ["a", "b"], [], []],
  ["nor one that has no endpoint, healthy as its check may still be", ["a"], [], []],
  ["nor one that gets no traffic anyway", ["c"], ["c"], []],
] as const) {
  test(fact, () => {
    const snapshot = localOn(...endpointsOn);
    assert.deepEqual(awaitedNodes(snapshot, planOf(snapshot, unhealthy)), expected);
  });
}

test("with externalTrafficPolicy Cluster no health is waited for", () => {
  const snapshot = snapshotOf([webService()], { a: {} });
  assert.deepEqual(awaitedNodes(snapshot, planOf(snapshot, ["a"])), []);
});

test("a node without ready endpoints is out at once, whatever its health port said last", () => {
  const [port] = planOf(localOn("a"), []).ports;
  assert.deepEqual(
    port?.candidates.map(({ name, eligible }) => [name, eligible]),
    [
      ["a", true],
      ["b", false],
      ["c", false],
    ],
  );
});

test("a snapshot is announced when the node is healthy, or 2 s after it began to be awaited", () => {
  const announced: Snapshot[] = [];
  const again: number[] = [];
  let now = 0;
  const look = createAnnouncer(
    (snapshot) => announced.push(snapshot),
    (ms) => again.push(ms),
    () => now,
  );
  const [first, second] = [localOn("a", "b"), localOn("a", "b")];
  look(first, planOf(first, ["b"]));
  now = 500;
  look(second, planOf(second, ["b"]));
  assert.deepEqual([announced, again], [[], [2000, 1500]]);
  look(second, planOf(second, []));
  assert.deepEqual(announced, [second]);
  now = 1000;
  look(first, planOf(first, ["b"]));
  now = 3000;
  look(first, planOf(first, ["b"]));
  assert.deepEqual(announced, [second, first]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { LoadBalancerAlgorithm } from "#model";
import { nodeChooser } from "./choose.ts";

const clients = Array.from({ length: 2000 }, (_, i) => ({
  address: `198.51.${i >> 8}.${i & 255}`,
  port: 40_000,
}));
const nodes = ["a", "b", "c"];

function choices(algorithm: LoadBalancerAlgorithm, among: readonly string[]): (string | undefined)[] {
  return clients.map(nodeChooser(algorithm, among));
}

test("round robin takes turns", () => {
  assert.deepEqual(choices("round-robin", nodes).slice(0, 4), ["a", "b", "c", "a"]);
});

for (const algorithm of ["source-hash", "connection-hash"] as const) {
  test(`by ${algorithm} nodes have about equal shares, the same every time`, () => {
    const chosen = choices(algorithm, nodes);
    for (const node of nodes) {
      const share = chosen.filter((one) => one === node).length / clients.length;
      assert.ok(share > 0.28 && share < 0.39, `${node}: ${share}`);
    }
    assert.deepEqual(choices(algorithm, nodes), chosen);
  });

  test(`by ${algorithm} only the clients of a node that leaves move, but for one in twenty`, () => {
    const before = choices(algorithm, nodes);
    const after = choices(algorithm, ["a", "c"]);
    const moved = before.filter((node, i) => node !== "b" && node !== after[i]).length;
    assert.ok(moved / clients.length < 0.05, `${moved} of ${clients.length}`);
    assert.ok(!after.includes("b"));
  });
}

test("by source hash all connections of a client meet one node, by connection hash they do not", () => {
  const met = (algorithm: LoadBalancerAlgorithm): number => {
    const choose = nodeChooser(algorithm, nodes);
    const ports = Array.from({ length: 50 }, (_, i) => choose({ address: "198.51.100.1", port: 40_000 + i }));
    return new Set(ports).size;
  };
  assert.equal(met("source-hash"), 1);
  assert.equal(met("connection-hash"), 3);
});

test("without nodes there is none to choose", () => {
  for (const algorithm of ["round-robin", "source-hash", "connection-hash"] as const) {
    assert.equal(nodeChooser(algorithm, [])({ address: "198.51.100.1", port: 1 }), undefined);
  }
});

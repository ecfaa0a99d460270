import assert from "node:assert/strict";
import { test } from "node:test";
import { planNode } from "./node-plan.ts";
import type { Node } from "./objects.ts";

const grace = 4000;
const seen = Date.parse("2026-01-01T00:00:00Z");

function node(ready?: string, taints: readonly string[] = []): Node {
  return {
    metadata: { name: "node-a" },
    spec: { taints: taints.map((text) => ({ key: text.split(":")[0], effect: text.split(":")[1] })) },
    status: { conditions: ready === undefined ? [] : [{ type: "Ready", status: ready, reason: "x" }] },
  } as unknown as Node;
}

const unreachable = ["node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute"];
const notReady = ["node.kubernetes.io/not-ready:NoSchedule", "node.kubernetes.io/not-ready:NoExecute"];

const table: readonly {
  what: string;
  node: Node;
  age: number;
  alive?: boolean;
  ready?: string;
  taints?: readonly string[];
  lost?: boolean;
}[] = [
  { what: "a ready node that gives signs of life", node: node("True"), age: 100 },
  {
    what: "taints of bad times go",
    node: node("True", ["dedicated:NoSchedule", ...unreachable]),
    age: 0,
    taints: ["dedicated:NoSchedule"],
  },
  {
    what: "silent for the grace time",
    node: node("True"),
    age: 4000,
    ready: "Unknown NodeStatusUnknown",
    taints: unreachable,
    lost: true,
  },
  { what: "lost already: nothing new to say", node: node("Unknown", unreachable), age: 9000, lost: true },
  {
    what: "a taint that somebody took away comes back",
    node: node("Unknown", unreachable.slice(1)),
    age: 9000,
    taints: unreachable.toReversed(),
    lost: true,
  },
  {
    what: "signs of life again",
    node: node("Unknown", unreachable),
    age: 0,
    ready: "True KubeletReady",
    taints: [],
  },
  { what: "the node itself says that it is not ready", node: node("False"), age: 0, taints: notReady },
  { what: "new, not a word yet", node: node(undefined, notReady.slice(0, 1)), age: 100, alive: false },
  {
    what: "new, a lease but no status",
    node: node(undefined, notReady.slice(0, 1)),
    age: 100,
    ready: "True KubeletReady",
    taints: [],
  },
  {
    what: "never a word",
    node: node(),
    age: 4000,
    alive: false,
    ready: "Unknown NodeStatusNeverUpdated",
    taints: unreachable,
    lost: true,
  },
];

for (const { what, node: given, age, alive = true, ready, taints, lost = false } of table) {
  test(`node: ${what}`, () => {
    const plan = planNode(given, seen, alive, grace, seen + age);
    assert.equal(plan.ready && `${plan.ready.status} ${plan.ready.reason}`, ready);
    assert.deepEqual(
      plan.taints?.map(({ key, effect }) => `${key}:${effect}`),
      taints,
    );
    assert.equal(plan.lost, lost);
    assert.equal(plan.again, lost ? undefined : grace - age);
  });
}

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod, ReplicaSet } from "./objects.ts";
import { planReplicaSet, rankForDeletion, replicaSetStatus } from "./replicaset-plan.ts";

const now = Date.parse("2026-01-01T01:00:00Z");
const ago = (seconds: number): string => new Date(now - seconds * 1000).toISOString().replace(".000Z", "Z");

interface Traits {
  node?: string;
  phase?: string;
  ready?: boolean;
  readySince?: number;
  created?: number;
  cost?: number;
  restarts?: number;
  ending?: boolean;
}

function pod(name: string, traits: Traits = {}): Pod {
  const {
    node = "node-a",
    phase = "Running",
    ready = true,
    readySince = 100,
    created = 200,
    cost,
    restarts = 0,
    ending,
  } = traits;
  return {
    metadata: {
      name,
      uid: name,
      labels: { app: "web" },
      creationTimestamp: ago(created),
      ...(cost === undefined
        ? {}
        : { annotations: { "controller.kubernetes.io/pod-deletion-cost": String(cost) } }),
      ...(ending ? { deletionTimestamp: ago(1) } : {}),
    },
    spec: { nodeName: node, containers: [] },
    status: {
      phase,
      conditions: [{ type: "Ready", status: ready ? "True" : "False", lastTransitionTime: ago(readySince) }],
      containerStatuses: [{ name: "c", restartCount: restarts, image: "", imageID: "", ready }],
    },
  };
}

function set(replicas: number, spec: object = {}): ReplicaSet {
  return {
    metadata: { name: "web", uid: "s", generation: 3 },
    spec: { replicas, template: { metadata: { labels: { app: "web" } } }, ...spec },
  } as unknown as ReplicaSet;
}

const first: readonly [string, loser: Pod, keeper: Pod][] = [
  ["a pod without a node", pod("z", { node: "" }), pod("a")],
  ["a pending one before a running one", pod("z", { phase: "Pending" }), pod("a")],
  ["one that is not ready", pod("z", { ready: false }), pod("a")],
  ["the cheaper one", pod("z", { cost: -5 }), pod("a")],
  ["the one that became ready much later", pod("z", { readySince: 2 }), pod("a", { readySince: 3000 })],
  ["the one that restarted more often", pod("z", { restarts: 3 }), pod("a")],
  ["the much younger one", pod("z", { created: 110 }), pod("a", { created: 3500 })],
];

for (const [what, loser, keeper] of first) {
  test(`deleted first: ${what}`, () => {
    for (const order of [
      [loser, keeper],
      [keeper, loser],
    ]) {
      assert.equal(rankForDeletion(order, order, now)[0]?.metadata?.name, "z");
    }
  });
}

test("deleted first: a pod on the node with most pods of the same owner, other ReplicaSets included", () => {
  const ours = [pod("a", { node: "node-a" }), pod("z", { node: "node-b" })];
  const related = [...ours, pod("other", { node: "node-b" })];
  assert.equal(rankForDeletion(ours, related, now)[0]?.metadata?.name, "z");
});

const counts: readonly [string, ReplicaSet, Pod[], create: number, remove: number][] = [
  ["missing pods are made", set(3), [pod("a")], 2, 0],
  ["surplus pods are deleted", set(1), [pod("a"), pod("b"), pod("c")], 0, 2],
  ["ending pods do not count", set(1), [pod("a", { ending: true })], 1, 0],
  [
    "failed and succeeded pods do not count",
    set(1),
    [pod("a", { phase: "Failed" }), pod("b", { phase: "Succeeded" })],
    1,
    0,
  ],
  ["all is well", set(1), [pod("a")], 0, 0],
  ["no more than 500 at a time", set(2000), [], 500, 0],
];

for (const [what, given, pods, create, remove] of counts) {
  test(`pods: ${what}`, () => {
    const result = planReplicaSet(given, pods, pods, now);
    assert.deepEqual([result.create, result.remove.length], [create, remove]);
  });
}

test("status counts ready pods, and as available those ready for minReadySeconds", () => {
  const pods = [
    pod("a", { readySince: 3 }),
    pod("b", { readySince: 10 }),
    pod("c", { ready: false }),
    pod("d", { ending: true }),
  ];
  const given = set(3, { minReadySeconds: 5 });
  assert.deepEqual(replicaSetStatus(given, pods, undefined, now), {
    replicas: 3,
    fullyLabeledReplicas: 3,
    readyReplicas: 2,
    availableReplicas: 1,
    observedGeneration: 3,
  });
  assert.equal(planReplicaSet(given, pods, pods, now).again, 2000);
});

test("status without pods shows just zero replicas", () => {
  assert.deepEqual(replicaSetStatus(set(0), [], undefined, now), { replicas: 0, observedGeneration: 3 });
});

test("a failure to make pods is a condition until it is over", () => {
  const failure = { reason: "FailedCreate", message: "quota" };
  const { conditions } = replicaSetStatus(set(1), [], failure, now);
  assert.deepEqual(conditions, [
    { type: "ReplicaFailure", status: "True", lastTransitionTime: ago(0), ...failure },
  ]);
  const failing = { ...set(1), status: { replicas: 0, conditions } } as ReplicaSet;
  assert.equal(replicaSetStatus(failing, [], undefined, now).conditions, undefined);
});

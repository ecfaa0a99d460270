import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod, StatefulSet } from "./objects.ts";
import { ordinalOf, planStatefulSet, statefulSetStatus } from "./stateful-set-plan.ts";

const now = Date.parse("2026-01-01T00:10:00Z");
const set = (spec: object = {}): StatefulSet => ({
  metadata: { name: "db", generation: 3 },
  spec: {
    serviceName: "db",
    replicas: 3,
    updateStrategy: { type: "RollingUpdate" },
    ...spec,
  } as StatefulSet["spec"] & object,
});

/** `0` a pod that is ready, `1-` one that is not, `2x` one that ends, `3!` one that has failed, `4/old` one of that revision. */
function pod(text: string): Pod {
  const [, ordinal, state, revision = "new"] = /^(\d+)([-x!]?)(?:\/(\w+))?$/.exec(text) ?? [];
  return {
    metadata: {
      name: `db-${ordinal}`,
      labels: { "controller-revision-hash": revision },
      ...(state === "x" ? { deletionTimestamp: "2026-01-01T00:09:00Z" } : {}),
    },
    status: {
      phase: state === "!" ? "Failed" : "Running",
      conditions: [
        {
          type: "Ready",
          status: state === "" || state === "x" ? "True" : "False",
          lastTransitionTime: "2026-01-01T00:09:55Z",
        },
      ],
    },
  };
}

/** `+0:new` for a pod to make, `-2` for one to delete. */
function planned(spec: object, pods: string, revisions: { current?: string } = {}): string {
  const input = {
    set: set(spec),
    pods: pods.split(" ").filter(Boolean).map(pod),
    update: "new",
    current: "new",
    now,
    ...revisions,
  };
  const { create, remove } = planStatefulSet(input);
  return [
    ...create.map(({ ordinal, revision }) => `+${ordinal}:${revision}`),
    ...remove.map((one) => `-${ordinalOf(set(), one)}`),
  ].join(" ");
}

const parallel = { podManagementPolicy: "Parallel" };
const onDelete = { updateStrategy: { type: "OnDelete" } };
const partition = { updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 2 } } };
const old = { current: "old" };

const table: readonly (readonly [
  what: string,
  spec: object,
  pods: string,
  expected: string,
  revisions?: object,
])[] = [
  ["the first pod comes first", {}, "", "+0:new"],
  ["the next one waits until it is ready", {}, "0-", ""],
  ["and comes then", {}, "0", "+1:new"],
  ["a gap is filled before anything else", {}, "1 2", "+0:new"],
  ["a pod that ends is waited for", {}, "0x 1 2", ""],
  ["a pod that has ended is replaced", {}, "0 1! 2", "-1"],
  ["all there, nothing to do", {}, "0 1 2", ""],
  ["surplus goes from the top", { replicas: 1 }, "0 1 2", "-2"],
  ["one at a time", { replicas: 1 }, "0 1 2x", ""],
  ["and not while a lower one is unready", { replicas: 1 }, "0- 1 2", ""],
  ["none wanted", { replicas: 0 }, "0 1", "-1"],
  ["minReadySeconds count", { minReadySeconds: 10 }, "0", ""],
  ["names may begin elsewhere", { ordinals: { start: 5 }, replicas: 2 }, "5", "+6:new"],
  ["parallel: all at once", parallel, "", "+0:new +1:new +2:new"],
  ["parallel: nobody waits", parallel, "0-", "+1:new +2:new"],
  ["parallel: all surplus goes", { ...parallel, replicas: 0 }, "0 1x 2", "-2 -0"],
  ["an update begins at the top", {}, "0/old 1/old 2/old", "-2", old],
  ["goes on when the top is ready", {}, "0/old 1/old 2", "-1", old],
  ["waits while it is not", {}, "0/old 1/old 2-", "", old],
  ["makes pods of the new revision", {}, "0/old 1/old", "+2:new", old],
  ["stops at the partition", partition, "0/old 1/old 2", "", old],
  ["and makes former pods below it", partition, "1/old 2", "+0:old", old],
  ["OnDelete replaces nothing", onDelete, "0/old 1/old 2/old", "", old],
  ["OnDelete makes new ones", onDelete, "0/old 2/old", "+1:new", old],
];
for (const [what, spec, pods, expected, revisions] of table) {
  test(`pods of a StatefulSet: ${what}`, () => assert.equal(planned(spec, pods, revisions), expected));
}

test("a name is a member's if it ends in a number as Kubernetes writes it", () => {
  const ordinals = ["db-0", "db-12", "db-01", "db-x", "db-", "other-1"].map((name) =>
    ordinalOf(set(), { metadata: { name } }),
  );
  assert.deepEqual(ordinals, [0, 12, -1, -1, -1, -1]);
});

test("minReadySeconds tell when to look again", () => {
  const input = { set: set({ minReadySeconds: 10 }), pods: [pod("0")], update: "new", current: "new", now };
  assert.equal(planStatefulSet(input).again, 5000);
});

test("the status counts by revision, and an update ends when every new pod is ready", () => {
  const status = (pods: string) =>
    statefulSetStatus({ set: set(), pods: pods.split(" ").map(pod), update: "new", current: "old", now });
  assert.deepEqual(status("0/old 1x/old 2-"), {
    observedGeneration: 3,
    replicas: 3,
    readyReplicas: 2,
    currentReplicas: 1,
    updatedReplicas: 1,
    currentRevision: "old",
    updateRevision: "new",
    collisionCount: 0,
    availableReplicas: 2,
  });
  assert.equal(status("0 1 2-").currentRevision, "old");
  const done = status("0 1 2");
  assert.deepEqual([done.currentRevision, done.currentReplicas, done.updatedReplicas], ["new", 3, 3]);
});

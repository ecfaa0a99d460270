import assert from "node:assert/strict";
import { test } from "node:test";
import { type DeploymentPlan, planDeployment } from "./deployment-plan.ts";
import type { Deployment, ReplicaSet } from "./objects.ts";

const now = Date.parse("2026-01-01T00:10:00Z");
const ago = (seconds: number): string => new Date(now - seconds * 1000).toISOString().replace(".000Z", "Z");
const template = (image: string) => ({
  metadata: { labels: { app: "web" } },
  spec: { containers: [{ name: "c", image }] },
});

function deployment(
  spec: object = {},
  status: object = {},
  annotations: Record<string, string> = {},
): Deployment {
  return {
    metadata: { name: "web", namespace: "shop", uid: "d1", generation: 2, annotations },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: "web" } },
      template: template("app:2"),
      progressDeadlineSeconds: 600,
      ...spec,
    },
    status,
  };
}

function set(
  name: string,
  image: string,
  replicas: number,
  revision: number,
  extra: object = {},
): ReplicaSet {
  return {
    metadata: {
      name,
      namespace: "shop",
      uid: name,
      generation: 1,
      creationTimestamp: ago(1000 - revision),
      annotations: {
        "deployment.kubernetes.io/revision": String(revision),
        "deployment.kubernetes.io/desired-replicas": "1",
        "deployment.kubernetes.io/max-replicas": "2",
      },
    },
    spec: {
      replicas,
      selector: {},
      template: { ...template(image), metadata: { labels: { app: "web", "pod-template-hash": "x" } } },
    },
    status: { replicas, availableReplicas: replicas, readyReplicas: replicas, observedGeneration: 1 },
    ...extra,
  };
}

function plan(given: Deployment, sets: readonly ReplicaSet[]): DeploymentPlan {
  return planDeployment({ deployment: given, sets, pods: [], now });
}

const progressing = (reason: string, status: string, secondsAgo: number) => ({
  type: "Progressing",
  status,
  reason,
  message: "",
  lastUpdateTime: ago(secondsAgo),
  lastTransitionTime: ago(secondsAgo),
});

function conditionsOf(result: DeploymentPlan): Record<string, string> {
  return Object.fromEntries(
    (result.status.conditions ?? []).map(({ type, status, reason }) => [type, `${status} ${reason}`]),
  );
}

test("the first ReplicaSet carries hash, owner, revision and size of its Deployment", () => {
  const { create, revision, status } = plan(deployment({ replicas: 4 }, {}, { team: "x" }), []);
  const hash = create?.metadata?.labels?.["pod-template-hash"] ?? "";
  assert.match(hash, /^[bcdfghjklmnpqrstvwxz2456789]{1,10}$/);
  assert.equal(create?.metadata?.name, `web-${hash}`);
  assert.deepEqual(create?.spec?.selector, { matchLabels: { app: "web", "pod-template-hash": hash } });
  assert.deepEqual(create?.spec?.template?.metadata?.labels, { app: "web", "pod-template-hash": hash });
  assert.deepEqual(create?.metadata?.ownerReferences, [
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      name: "web",
      uid: "d1",
      controller: true,
      blockOwnerDeletion: true,
    },
  ]);
  assert.deepEqual(create?.metadata?.annotations, {
    team: "x",
    "deployment.kubernetes.io/revision": "1",
    "deployment.kubernetes.io/desired-replicas": "4",
    "deployment.kubernetes.io/max-replicas": "5",
  });
  assert.deepEqual([create?.spec?.replicas, revision], [4, 1]);
  assert.deepEqual(
    status.conditions?.map(({ reason, message }) => [reason, message]),
    [
      ["NewReplicaSetCreated", `Created new replica set "web-${hash}"`],
      ["MinimumReplicasUnavailable", "Deployment does not have minimum availability."],
    ],
  );
});

const newSetName = (spec: object, status: object = {}): string | undefined =>
  plan(deployment(spec, status), []).create?.metadata?.name;

test("equal templates have equal hashes whatever the order of their fields; a collision gives another one", () => {
  const { metadata, spec } = template("app:2");
  assert.equal(newSetName({ template: { metadata, spec } }), newSetName({ template: { spec, metadata } }));
  assert.notEqual(newSetName({}), newSetName({ template: template("app:3") }));
  assert.notEqual(newSetName({}), newSetName({}, { collisionCount: 1 }));
});

test("annotations of kubectl and of the rollout itself are not handed on", () => {
  const annotations = {
    "kubectl.kubernetes.io/last-applied-configuration": "{}",
    "deployment.kubernetes.io/revision": "7",
    "kubernetes.io/change-cause": "why",
  };
  const { create } = plan(deployment({}, {}, annotations), [set("web-1", "app:1", 1, 7)]);
  assert.deepEqual(
    Object.entries(create?.metadata?.annotations ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    [
      ["deployment.kubernetes.io/desired-replicas", "1"],
      ["deployment.kubernetes.io/max-replicas", "2"],
      ["deployment.kubernetes.io/revision", "8"],
      ["kubernetes.io/change-cause", "why"],
    ],
  );
});

test("going back to an old template raises its revision and remembers the old one", () => {
  const { create, update, revision } = plan(deployment(), [
    set("web-2", "app:2", 0, 1),
    set("web-3", "app:3", 1, 2),
  ]);
  assert.equal(create, undefined);
  const annotations = update[0]?.metadata?.annotations ?? {};
  assert.equal(annotations["deployment.kubernetes.io/revision"], "3");
  assert.equal(annotations["deployment.kubernetes.io/revision-history"], "1");
  assert.deepEqual([update[0]?.metadata?.name, update[0]?.spec?.replicas, revision], ["web-2", 1, 3]);
});

test("a paused Deployment makes no ReplicaSet of its new template, but is scaled", () => {
  const result = plan(deployment({ paused: true, replicas: 3 }), [set("web-1", "app:1", 1, 1)]);
  assert.equal(result.create, undefined);
  assert.deepEqual(
    result.update.map((one) => [one.metadata?.name, one.spec?.replicas]),
    [["web-1", 3]],
  );
  assert.equal(conditionsOf(result)["Progressing"], "Unknown DeploymentPaused");
});

test("a rollout that stands still longer than its deadline says so, and one that still may move looks again", () => {
  const sets = [
    set("web-1", "app:1", 1, 1),
    set("web-2", "app:2", 1, 2, { status: { replicas: 1, observedGeneration: 1 } }),
  ];
  const counts = { replicas: 2, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1 };
  const stuck = (seconds: number): DeploymentPlan =>
    plan(
      deployment({}, { ...counts, conditions: [progressing("ReplicaSetUpdated", "True", seconds)] }),
      sets,
    );
  assert.equal(conditionsOf(stuck(599))["Progressing"], "True ReplicaSetUpdated");
  assert.equal(stuck(599).again, 1000);
  assert.equal(conditionsOf(stuck(600))["Progressing"], "False ProgressDeadlineExceeded");
  assert.equal(stuck(600).again, undefined);
});

test("without a deadline there is no Progressing condition", () => {
  const result = plan(deployment({ progressDeadlineSeconds: 2_147_483_647 }), []);
  assert.deepEqual(Object.keys(conditionsOf(result)), ["Available"]);
});

test("a ReplicaSet that cannot make pods shows on the Deployment", () => {
  const failure = { type: "ReplicaFailure", status: "True", reason: "FailedCreate", message: "quota" };
  const sets = [set("web-2", "app:2", 1, 1, { status: { observedGeneration: 1, conditions: [failure] } })];
  assert.equal(conditionsOf(plan(deployment(), sets))["ReplicaFailure"], "True FailedCreate");
});

const removed = (result: DeploymentPlan) => result.remove.map((one) => one.metadata?.name);

test("revisions beyond the limit are removed, oldest first, once the rollout is complete", () => {
  const old = [1, 2, 3].map((revision) => set(`web-r${revision}`, `app:old${revision}`, 0, revision));
  const sets = [...old, set("web-4", "app:2", 1, 4)];
  const complete = { observedGeneration: 2, replicas: 1, updatedReplicas: 1, availableReplicas: 1 };
  assert.deepEqual(removed(plan(deployment({ revisionHistoryLimit: 1 }, complete), sets)), [
    "web-r1",
    "web-r2",
  ]);
  assert.deepEqual(removed(plan(deployment({ revisionHistoryLimit: 1 }, { replicas: 2 }), sets)), []);
});

test("a Deployment that is being deleted starts nothing", () => {
  const given = deployment({ replicas: 5 });
  const dying = { ...given, metadata: { ...given.metadata, deletionTimestamp: ago(1) } };
  const { create, update, remove } = plan(dying, [set("web-1", "app:1", 1, 1)]);
  assert.deepEqual([create, update, remove], [undefined, [], []]);
});

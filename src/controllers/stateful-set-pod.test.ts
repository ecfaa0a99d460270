import assert from "node:assert/strict";
import { test } from "node:test";
import type { StatefulSet } from "./objects.ts";
import { claimsOf, statefulPod } from "./stateful-set-pod.ts";

const spec = {
  serviceName: "db",
  selector: { matchLabels: { app: "db" } },
  template: {},
  volumeClaimTemplates: [
    { metadata: { name: "data", labels: { tier: "disk" } }, spec: { accessModes: ["ReadWriteOnce"] } },
  ],
};
const set: StatefulSet = { metadata: { name: "db", namespace: "shop", uid: "s1" }, spec };
const template = {
  metadata: { labels: { app: "db" } },
  spec: {
    containers: [{ name: "c" }],
    volumes: [
      { name: "data", emptyDir: {} },
      { name: "tmp", emptyDir: {} },
    ],
  },
};

test("a pod is known by its name, also to DNS", () => {
  const pod = statefulPod(set, template, 2, "db-abc") as { metadata: object; spec: object };
  assert.deepEqual(pod.metadata, {
    name: "db-2",
    namespace: "shop",
    labels: {
      app: "db",
      "apps.kubernetes.io/pod-index": "2",
      "statefulset.kubernetes.io/pod-name": "db-2",
      "controller-revision-hash": "db-abc",
    },
    ownerReferences: [
      {
        apiVersion: "apps/v1",
        kind: "StatefulSet",
        name: "db",
        uid: "s1",
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  });
  assert.deepEqual(pod.spec, {
    containers: [{ name: "c" }],
    hostname: "db-2",
    subdomain: "db",
    volumes: [
      { name: "tmp", emptyDir: {} },
      { name: "data", persistentVolumeClaim: { claimName: "data-db-2" } },
    ],
  });
});

test("its claims carry its name and the labels of the set", () => {
  assert.deepEqual(claimsOf(set, 2), [
    {
      metadata: { name: "data-db-2", namespace: "shop", labels: { tier: "disk", app: "db" } },
      spec: { accessModes: ["ReadWriteOnce"] },
    },
  ]);
});

import { test } from "node:test";
import assert from "node:assert/strict";
import type { KubeObject } from "#kube";
import type { Container } from "kubernetes-types/core/v1.js";
import { findMapping } from "./mapping.ts";
import type { CommandMapping } from "./mapping.ts";

const pod: KubeObject = {
  metadata: {
    name: "api-7d9f-x",
    namespace: "shop",
    labels: { "pod-template-hash": "7d9f" },
    ownerReferences: [{ apiVersion: "apps/v1", kind: "ReplicaSet", name: "api-7d9f", uid: "1" }],
  },
};
const container: Container = { name: "app", image: "registry:5000/acme/api:1.2@sha256:00" };

const cases: readonly [what: string, mapping: Partial<CommandMapping>, fits: boolean][] = [
  ["the image without tag", { image: "registry:5000/acme/api" }, true],
  ["the image with tag", { image: "registry:5000/acme/api:1.2" }, true],
  ["the image with another tag", { image: "registry:5000/acme/api:1.3" }, false],
  ["the beginning of an image's name", { image: "registry:5000/acme/ap" }, false],
  ["a registry's port taken for a tag", { image: "registry" }, false],
  ["the container's name", { container: "app" }, true],
  ["the Deployment", { workload: "deployment/api" }, true],
  ["the Deployment in capitals and with its namespace", { workload: "shop/Deployment/api" }, true],
  ["the Deployment of another namespace", { workload: "other/deployment/api" }, false],
  ["the ReplicaSet", { workload: "replicaset/api-7d9f" }, true],
  ["the pod", { workload: "pod/api-7d9f-x" }, true],
  ["two criteria, one of them wrong", { container: "app", workload: "deployment/web" }, false],
  ["no criterion", {}, false],
];
for (const [what, mapping, fits] of cases) {
  test(`${what} ${fits ? "fits" : "does not fit"}`, () => {
    const found = findMapping([{ command: "x", ...mapping }], pod, container);
    assert.equal(found !== undefined, fits);
  });
}

test("the first mapping that fits wins", () => {
  const mappings = [
    { container: "no", command: "a" },
    { container: "app", command: "b" },
    { container: "app", command: "c" },
  ];
  assert.equal(findMapping(mappings, pod, container)?.command, "b");
});

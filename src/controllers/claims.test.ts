import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "#kube";
import { decideClaims } from "./claims.ts";

const owner: KubeObject = { metadata: { name: "web", uid: "me" } };
const selector = { matchLabels: { app: "web" } };

function object(name: string, app: string, controller?: string, ending = false): KubeObject {
  const reference = {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    name: "r",
    uid: controller ?? "",
    controller: true,
  };
  return {
    metadata: {
      name,
      labels: { app },
      ownerReferences: controller === undefined ? [] : [reference],
      ...(ending ? { deletionTimestamp: "x" } : {}),
    },
  };
}

const table: readonly [string, KubeObject, "owned" | "adopt" | "release" | "nothing"][] = [
  ["ours and selected", object("a", "web", "me"), "owned"],
  ["ours, no longer selected", object("a", "other", "me"), "release"],
  ["nobody's and selected", object("a", "web"), "adopt"],
  ["nobody's and ending", object("a", "web", undefined, true), "nothing"],
  ["nobody's, not selected", object("a", "other"), "nothing"],
  ["somebody else's", object("a", "web", "they"), "nothing"],
];

for (const [what, one, expected] of table) {
  test(`claim: ${what}`, () => {
    const { owned, adopt, release } = decideClaims(owner, selector, [one]);
    const found =
      owned.length > 0 ? "owned" : adopt.length > 0 ? "adopt" : release.length > 0 ? "release" : "nothing";
    assert.equal(found, expected);
  });
}

test("an owner that is being deleted adopts and releases nothing", () => {
  const dying = { metadata: { ...owner.metadata, deletionTimestamp: "x" } };
  const { owned, adopt, release } = decideClaims(
    dying,
    selector,
    table.map(([, one]) => one),
  );
  assert.deepEqual([owned.length, adopt.length, release.length], [1, 0, 0]);
});

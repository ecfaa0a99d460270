import assert from "node:assert/strict";
import { test } from "node:test";
import { programmedGate, withProgrammedGate } from "./programmed-gate.ts";

const owner = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web", uid: "u", controller: true };
const podOf = (owners: readonly (typeof owner)[], gates: readonly string[] = []) => ({
  metadata: { name: "p", ownerReferences: owners },
  spec: { containers: [], readinessGates: gates.map((conditionType) => ({ conditionType })) },
});
const gatesOf = (pod: object): unknown => Object(pod).spec.readinessGates;

test("a controller's pod gets the gate, behind its own ones", () => {
  assert.deepEqual(gatesOf(withProgrammedGate(podOf([owner], ["x/gate"]))), [
    { conditionType: "x/gate" },
    { conditionType: programmedGate },
  ]);
});

test("a pod that has it already keeps it once", () => {
  const pod = podOf([owner], [programmedGate]);
  assert.equal(withProgrammedGate(pod), pod);
});

test("a pod that no controller owns stays as it is", () => {
  for (const pod of [podOf([]), podOf([{ ...owner, controller: false }])]) {
    assert.equal(withProgrammedGate(pod), pod);
  }
});

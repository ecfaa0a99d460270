/** `kubectl drain` empties a node, and a PodDisruptionBudget holds it back. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createLive } from "../support/live.ts";

const objects = (minAvailable: number): string => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "example.com/web:1", ports: [{containerPort: 3000}]}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: ${minAvailable}, selector: {matchLabels: {app: web}}}
`;

describe("kubectl drain", { timeout: 120_000 }, () => {
  const live = createLive("drain");
  const kubectl = live.kubectl("v35");
  before(async () => {
    await live.up();
    await kubectl("apply -f -", objects(4));
    await kubectl("rollout status deployment/web --timeout=30s");
    await kubectl("wait pdb/web --for=jsonpath={.status.currentHealthy}=4 --timeout=30s");
  });
  after(() => live.down());

  const nodesOfPods = async (): Promise<string[]> =>
    (await kubectl("get pods -l app=web -o jsonpath={.items[*].spec.nodeName}")).split(" ");

  test("a budget that allows no disruption keeps the pods where they are", async () => {
    const { code, stderr } = await kubectl.attempt("drain node-b --timeout=1s");
    assert.equal(code, 1);
    assert.match(stderr, /Cannot evict pod as it would violate the pod's disruption budget/);
    assert.equal((await nodesOfPods()).filter((node) => node === "node-b").length, 2);
    assert.match(await kubectl("get node node-b"), /Ready,SchedulingDisabled/);
  });

  test("a budget with room lets pods go as others come, and never has fewer than it asks for", async () => {
    await kubectl("apply -f -", objects(3));
    const { code, stdout, stderr } = await kubectl.attempt("drain node-b --timeout=30s");
    assert.equal(code, 0, stderr);
    assert.match(stdout, /node\/node-b drained/);
    assert.equal((await nodesOfPods()).includes("node-b"), false);
    await kubectl("uncordon node-b");
    assert.doesNotMatch(await kubectl("get node node-b"), /SchedulingDisabled/);
  });
});

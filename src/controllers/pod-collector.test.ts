import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { kinds } from "#kube";
import { silentLog } from "#lib/log";
import { type ApiServer, createApiServer } from "#api";
import { createManualClock, type ManualClock } from "#client";
import { kind, nameOf } from "./objects.ts";
import { startTestCluster, type TestCluster } from "./test-cluster.ts";

const podKind = kind("v1", "Pod");
const nodeKind = kind("v1", "Node");

let api: ApiServer;
let cluster: TestCluster;
let clock: ManualClock;

beforeEach(async () => {
  clock = createManualClock(Date.parse("2026-01-01T00:00:00Z"));
  api = createApiServer({
    serviceCIDR: "10.96.0.0/16",
    nodePorts: { first: 30000, last: 32767 },
    kinds,
    log: silentLog,
    authenticate: { tokens: new Map() },
    debugToken: "",
  });
  cluster = await startTestCluster(api.transport({ name: "controllers", groups: ["system:masters"] }), {
    clock,
  });
  for (const node of ["node-a", "node-b"]) {
    await cluster.addNode(node);
    const spec = { nodeName: node, containers: [{ name: "c", image: "app:1" }] };
    await cluster.client.create(podKind, { metadata: { name: `on-${node}`, namespace: "default" }, spec });
  }
  await cluster.until("both pods", () => pods().length === 2);
});

afterEach(async () => {
  await cluster.close();
  api.close();
});

const pods = (): string[] => cluster.all("v1", "Pod").map(nameOf);

test("the pods of a deleted node go after the grace time, those of others stay", async () => {
  await cluster.client.delete(nodeKind, "node-b");
  await cluster.until("the node is gone", () => cluster.all("v1", "Node").length === 1);
  await clock.settle?.();
  clock.advance(3999);
  assert.equal(pods().length, 2);
  clock.advance(1);
  await cluster.until("its pod is gone", () => pods().length === 1);
  assert.deepEqual(pods(), ["on-node-a"]);
});

test("a node that is there again in time keeps its pods", async () => {
  await cluster.client.delete(nodeKind, "node-b");
  await cluster.until("the node is gone", () => cluster.all("v1", "Node").length === 1);
  await cluster.addNode("node-b");
  await cluster.until("the node is back", () => cluster.all("v1", "Node").length === 2);
  clock.advance(4000);
  await cluster.client.create(kind("v1", "ConfigMap"), { metadata: { name: "later", namespace: "default" } });
  assert.equal(pods().length, 2);
});

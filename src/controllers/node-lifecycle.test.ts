import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { kinds, type KubeObject } from "#kube";
import { silentLog } from "#lib/log";
import { type ApiServer, createApiServer } from "#api";
import { createManualClock, type ManualClock } from "#client";
import { conditionOf, isActive, isReady, kind, type Node, type Pod } from "./objects.ts";
import type { EndpointSlice } from "./slice-packing.ts";
import { startTestCluster, type TestCluster } from "./test-cluster.ts";

const podKind = kind("v1", "Pod");
const leaseKind = kind("coordination.k8s.io/v1", "Lease");
const start = Date.parse("2026-01-01T00:00:00Z");

let api: ApiServer;
let cluster: TestCluster;
let clock: ManualClock;

beforeEach(async () => {
  clock = createManualClock(start);
  api = createApiServer({
    serviceCIDRs: ["10.96.0.0/16"],
    nodePorts: { first: 30000, last: 32767 },
    kinds,
    log: silentLog,
    authenticate: { tokens: new Map() },
    debugToken: "",
  });
  const transport = api.transport({ name: "controllers", groups: ["system:masters"] });
  cluster = await startTestCluster(transport, { clock });
  await cluster.addNode("node-a");
});

afterEach(async () => {
  await cluster.close();
  api.close();
});

const pod: KubeObject = {
  metadata: { name: "one", namespace: "default", labels: { app: "api" } },
  spec: { containers: [{ name: "c", image: "app:1" }] },
};
const service: KubeObject = {
  metadata: { name: "api", namespace: "default" },
  spec: { selector: { app: "api" }, ports: [{ port: 80 }] },
};
const endpoints = () =>
  (cluster.all("discovery.k8s.io/v1", "EndpointSlice") as EndpointSlice[])
    .filter((slice) => slice.metadata?.labels?.["kubernetes.io/service-name"] === "api")
    .flatMap((slice) => slice.endpoints ?? []);

test("a node without a sign of life is lost: condition, taints, its pods get no traffic; and comes back", async () => {
  await cluster.client
    .create(kind("v1", "Namespace"), { metadata: { name: "kube-node-lease" } })
    .catch(() => undefined);
  const renew = (time: number): Promise<unknown> =>
    cluster.client.patch(
      leaseKind,
      "node-a",
      "kube-node-lease",
      { spec: { renewTime: new Date(time).toISOString().replace("Z", "000Z") } },
      { type: "merge" },
    );
  await cluster.client.create(leaseKind, {
    metadata: { name: "node-a", namespace: "kube-node-lease" },
    spec: { holderIdentity: "node-a" },
  });
  await renew(start);
  await cluster.client.create(kind("v1", "Service"), service);
  cluster.runAgents();
  await cluster.client.create(podKind, pod);
  await cluster.until("the endpoint is ready", () => endpoints()[0]?.conditions?.ready === true);

  const node = (): Node | undefined => (cluster.all("v1", "Node") as Node[])[0];
  let told = false;
  await cluster.until("the node is lost", () => {
    if (!told) queueMicrotask(() => clock.advance(4000));
    told = true;
    return conditionOf(node() ?? {}, "Ready")?.status === "Unknown";
  });
  await cluster.until("taints", () => node()?.spec?.taints?.length === 2);
  assert.deepEqual(
    node()
      ?.spec?.taints?.map(({ key, effect }) => `${key}:${effect}`)
      .toSorted(),
    ["node.kubernetes.io/unreachable:NoExecute", "node.kubernetes.io/unreachable:NoSchedule"],
  );
  await renew(start + 5000);
  await cluster.until("the node is ready again", () => conditionOf(node() ?? {}, "Ready")?.status === "True");
  await cluster.until("no taints", () => (node()?.spec?.taints ?? []).length === 0);
});

test("a lost node's pods turn not ready, and their endpoints with them", async () => {
  await cluster.client.create(kind("v1", "Service"), service);
  await cluster.client.create(podKind, pod);
  const pods = (): Pod[] => (cluster.all("v1", "Pod") as Pod[]).filter(isActive);
  await cluster.until("placed", () => pods()[0]?.spec?.nodeName === "node-a");
  const status = {
    phase: "Running",
    podIP: "10.244.0.2",
    podIPs: [{ ip: "10.244.0.2" }],
    conditions: [{ type: "Ready", status: "True" }],
  };
  await cluster.client.patch(podKind, "one", "default", { status }, { type: "merge", subresource: "status" });
  await cluster.until("ready", () => endpoints()[0]?.conditions?.ready === true);
  clock.advance(4000);
  await cluster.until("the pod is not ready", () => pods()[0] !== undefined && !isReady(pods()[0] ?? {}));
  await cluster.until("nor its endpoint", () => endpoints()[0]?.conditions?.ready === false);
});

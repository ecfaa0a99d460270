import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { kinds, type KubeObject } from "#kube";
import { silentLog } from "#lib/log";
import { type ApiServer, createApiServer } from "#api";
import {
  byText,
  controllerOf,
  type Deployment,
  isActive,
  isReady,
  kind,
  nameOf,
  type Pod,
  type ReplicaSet,
  uidOf,
} from "./objects.ts";
import { startTestCluster, type TestCluster } from "./test-cluster.ts";

const deployments = kind("apps/v1", "Deployment");
const podKind = kind("v1", "Pod");

let api: ApiServer;
let cluster: TestCluster;

beforeEach(async () => {
  api = createApiServer({
    serviceCIDRs: ["10.96.0.0/16"],
    nodePorts: { first: 30000, last: 32767 },
    kinds,
    log: silentLog,
    authenticate: { tokens: new Map() },
    debugToken: "",
  });
  cluster = await startTestCluster(api.transport({ name: "controllers", groups: ["system:masters"] }));
  await cluster.addNode("node-a");
  await cluster.addNode("node-b");
});

afterEach(async () => {
  await cluster.close();
  api.close();
});

function deployment(spec: object = {}, image = "app:1"): KubeObject {
  const template = {
    metadata: { labels: { app: "api" } },
    spec: { containers: [{ name: "c", image, ports: [{ containerPort: 8080 }] }] },
  };
  return {
    metadata: { name: "api", namespace: "default" },
    spec: { replicas: 3, selector: { matchLabels: { app: "api" } }, template, ...spec },
  };
}

const pods = (): Pod[] => (cluster.all("v1", "Pod") as Pod[]).filter(isActive);
const sets = (): readonly ReplicaSet[] => cluster.all("apps/v1", "ReplicaSet") as ReplicaSet[];
const current = (): Deployment | undefined => (cluster.all("apps/v1", "Deployment") as Deployment[])[0];
const isRolledOut = (): boolean => {
  const { spec, status, metadata } = current() ?? {};
  const wanted = spec?.replicas ?? 1;
  return (
    status?.observedGeneration === metadata?.generation &&
    (status?.updatedReplicas ?? 0) === wanted &&
    (status?.availableReplicas ?? 0) === wanted &&
    (status?.replicas ?? 0) === wanted
  );
};
const scheduled = () => pods()[0]?.status?.conditions?.find(({ type }) => type === "PodScheduled");
const images = (): (string | undefined)[] => pods().map((pod) => pod.spec?.containers[0]?.image);
const setImage = (image: string): Promise<unknown> =>
  cluster.client.patch(
    deployments,
    "api",
    "default",
    { spec: { template: { spec: { containers: [{ name: "c", image }] } } } },
    { type: "strategic" },
  );

test("three replicas over two nodes: two on node-a, one on node-b", async () => {
  await cluster.client.create(deployments, deployment());
  await cluster.until(
    "three pods have a node",
    () => pods().filter((pod) => pod.spec?.nodeName).length === 3,
  );
  assert.deepEqual(
    pods()
      .map((pod) => pod.spec?.nodeName ?? "")
      .toSorted(byText),
    ["node-a", "node-a", "node-b"],
  );
});

test("a rolling update keeps to maxSurge and maxUnavailable all the way", async () => {
  const strategy = { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } };
  let [most, fewestReady] = [0, Infinity];
  let rolling = false;
  cluster.runAgents(() => {
    if (!rolling) return;
    most = Math.max(most, pods().length);
    fewestReady = Math.min(fewestReady, pods().filter(isReady).length);
  });
  await cluster.client.create(deployments, deployment({ strategy }));
  await cluster.until("rolled out", isRolledOut);
  rolling = true;
  await setImage("app:2");
  await cluster.until(
    "all pods are new",
    () => isRolledOut() && images().every((image) => image === "app:2"),
  );
  assert.deepEqual([most, fewestReady], [4, 3]);
});

test("Recreate starts no new pod before the last old one has ended", async () => {
  let both = false;
  cluster.runAgents(() => {
    const all = new Set((cluster.all("v1", "Pod") as Pod[]).map((pod) => pod.spec?.containers[0]?.image));
    both ||= all.size > 1;
  });
  await cluster.client.create(deployments, deployment({ strategy: { type: "Recreate" } }));
  await cluster.until("rolled out", isRolledOut);
  await setImage("app:2");
  await cluster.until(
    "all pods are new",
    () => isRolledOut() && images().every((image) => image === "app:2"),
  );
  assert.equal(both, false);
});

test("going back to an earlier template reuses its ReplicaSet under a new revision", async () => {
  cluster.runAgents();
  await cluster.client.create(deployments, deployment({ replicas: 1 }));
  await cluster.until("rolled out", isRolledOut);
  for (const image of ["app:2", "app:1"]) {
    await setImage(image);
    await cluster.until(`pods of ${image}`, () => isRolledOut() && images().every((one) => one === image));
  }
  const revisions = Object.fromEntries(
    sets().map((set) => [
      set.spec?.template?.spec?.containers[0]?.image,
      [
        set.metadata?.annotations?.["deployment.kubernetes.io/revision"],
        set.metadata?.annotations?.["deployment.kubernetes.io/revision-history"],
      ],
    ]),
  );
  assert.deepEqual(revisions, { "app:1": ["3", "1"], "app:2": ["2", undefined] });
  assert.equal(current()?.metadata?.annotations?.["deployment.kubernetes.io/revision"], "3");
});

test("a pod that is deleted or has failed is replaced", async () => {
  cluster.runAgents();
  await cluster.client.create(deployments, deployment());
  await cluster.until("rolled out", isRolledOut);
  const [first, second] = pods();
  await cluster.client.delete(podKind, nameOf(first ?? {}), "default");
  await cluster.client.patch(
    podKind,
    nameOf(second ?? {}),
    "default",
    { status: { phase: "Failed", reason: "Evicted" } },
    { type: "merge", subresource: "status" },
  );
  await cluster.until("three other pods", () => {
    const ready = pods().filter(isReady);
    return (
      ready.length === 3 &&
      !ready.some((pod) => [first, second].some((old) => old && nameOf(old) === nameOf(pod)))
    );
  });
});

test("a pod whose label is taken away is let go and replaced, and taken back with the label", async () => {
  cluster.runAgents();
  await cluster.client.create(deployments, deployment({ replicas: 1 }));
  await cluster.until("rolled out", isRolledOut);
  const name = nameOf(pods()[0] ?? {});
  const relabel = (app: string): Promise<unknown> =>
    cluster.client.patch(podKind, name, "default", { metadata: { labels: { app } } }, { type: "merge" });
  const find = (): Pod | undefined => pods().find((pod) => nameOf(pod) === name);
  await relabel("other");
  await cluster.until("the pod is an orphan and replaced", () => {
    const pod = find();
    return pod !== undefined && controllerOf(pod) === undefined && pods().length === 2;
  });
  await relabel("api");
  await cluster.until(
    "one of them too many is gone",
    () => pods().length === 1 && controllerOf(pods()[0] ?? {}) !== undefined,
  );
});

test("scaling changes the number of pods, and tells so", async () => {
  cluster.runAgents();
  await cluster.client.create(deployments, deployment({ replicas: 1 }));
  await cluster.until("rolled out", isRolledOut);
  for (const replicas of [5, 0]) {
    await cluster.client.patch(deployments, "api", "default", { spec: { replicas } }, { type: "merge" });
    await cluster.until(`${replicas} pods`, () => pods().length === replicas && isRolledOut());
  }
  const name = nameOf(sets()[0] ?? {});
  await cluster.until("events tell of it", () => {
    const messages = cluster.all("v1", "Event").map((event) => event["message"]);
    return [`Scaled up replica set ${name} from 1 to 5`, `Scaled down replica set ${name} from 5 to 0`].every(
      (text) => messages.includes(text),
    );
  });
});

test("a pod that fits on no node says why, and is placed when a node comes that fits", async () => {
  const spec = { containers: [{ name: "c", image: "app:1" }], nodeSelector: { disk: "fast" } };
  await cluster.client.create(podKind, { metadata: { name: "lone", namespace: "default" }, spec });
  await cluster.until("the condition", () => scheduled()?.status === "False");
  assert.equal(scheduled()?.reason, "Unschedulable");
  assert.equal(
    scheduled()?.message,
    "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
  );
  await cluster.until("the event", () =>
    cluster.all("v1", "Event").some((event) => event["reason"] === "FailedScheduling"),
  );
  await cluster.addNode("node-c", { labels: { disk: "fast" } });
  await cluster.until("placed", () => pods()[0]?.spec?.nodeName === "node-c");
});

test("no pod is made twice, however many changes come at once", async () => {
  const made = new Set<string>();
  cluster.runAgents((pod) => made.add(uidOf(pod)));
  await cluster.client.create(deployments, deployment({ replicas: 40 }));
  for (let count = 0; count < 5; count += 1) {
    await cluster.client.patch(
      deployments,
      "api",
      "default",
      { metadata: { annotations: { count: String(count) } } },
      { type: "merge" },
    );
  }
  await cluster.until("rolled out", isRolledOut);
  assert.equal(made.size, 40);
});

test("a StatefulSet starts its pods one after the other, and stops them from the last", async () => {
  const order: string[] = [];
  cluster.runAgents((pod) => {
    const change = `${pod.metadata?.deletionTimestamp === undefined ? "+" : "-"}${nameOf(pod)}`;
    if (!order.includes(change)) order.push(change);
  });
  const { spec } = deployment();
  const stateful = kind("apps/v1", "StatefulSet");
  await cluster.client.create(stateful, {
    metadata: { name: "db", namespace: "default" },
    spec: { ...Object(spec), serviceName: "db" },
  });
  await cluster.until("three pods", () => pods().filter(isReady).length === 3);
  assert.deepEqual(order, ["+db-0", "+db-1", "+db-2"]);
  await cluster.client.patch(stateful, "db", "default", { spec: { replicas: 1 } }, { type: "merge" });
  await cluster.until("one pod", () => cluster.all("v1", "Pod").length === 1);
  assert.deepEqual(order.slice(3), ["-db-2", "-db-1"]);
});

test("a DaemonSet follows the nodes, and a budget counts what may be disrupted", async () => {
  cluster.runAgents();
  const { selector, template } = Object(deployment()["spec"]) as Record<string, unknown>;
  await cluster.client.create(kind("apps/v1", "DaemonSet"), {
    metadata: { name: "log", namespace: "default" },
    spec: { selector, template },
  });
  await cluster.client.create(kind("policy/v1", "PodDisruptionBudget"), {
    metadata: { name: "log", namespace: "default" },
    spec: { minAvailable: 1, selector },
  });
  const allowed = () =>
    Object(cluster.all("policy/v1", "PodDisruptionBudget")[0]?.["status"]) as { disruptionsAllowed?: number };
  const places = (): string =>
    pods()
      .map((pod) => pod.spec?.nodeName ?? "")
      .toSorted(byText)
      .join();
  await cluster.until("a pod on each node", () => places() === "node-a,node-b");
  await cluster.until("one may go", () => allowed().disruptionsAllowed === 1);
  await cluster.addNode("node-c");
  await cluster.until("the new node too", () => places() === "node-a,node-b,node-c");
  await cluster.until("two may go", () => allowed().disruptionsAllowed === 2);
});

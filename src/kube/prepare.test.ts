import assert from "node:assert/strict";
import { test } from "node:test";
import { at, listAt, objectAt, type JsonObject } from "./json.ts";
import { kindNamed, stored, updated, workload } from "./testing.ts";

const deployment = kindNamed("Deployment");
const service = kindNamed("Service");
const pod = kindNamed("Pod");

test("a client cannot set status, generation or deletion time of a new object", () => {
  const got = stored(deployment, {
    ...workload(),
    metadata: { name: "web", generation: 7, deletionTimestamp: "2026-01-01T00:00:00Z", selfLink: "/x" },
    status: { replicas: 3 },
  });
  assert.deepEqual(got["metadata"], { name: "web", generation: 1 });
  assert.deepEqual(got["status"], {});
});

test("kinds without a generation of their own keep what the client says", () => {
  const got = stored(kindNamed("ConfigMap"), { metadata: { name: "c", generation: 7 } });
  assert.equal(at(got, "metadata", "generation"), 7);
});

test("a namespace carries its name as a label, is active and held by its finalizer", () => {
  const got = stored(kindNamed("Namespace"), { metadata: { name: "a", namespace: "x" } });
  assert.deepEqual(got["metadata"], { name: "a", labels: { "kubernetes.io/metadata.name": "a" } });
  assert.deepEqual(got["spec"], { finalizers: ["kubernetes"] });
  assert.deepEqual(got["status"], { phase: "Active" });
});

test("a node comes with its status and takes no pods before it is ready", () => {
  const got = stored(kindNamed("Node"), { metadata: { name: "n" }, status: { phase: "Running" } });
  assert.deepEqual(at(got, "spec", "taints"), [
    { key: "node.kubernetes.io/not-ready", effect: "NoSchedule" },
  ]);
  assert.equal(at(got, "status", "phase"), "Running");
});

test("a pod gets its account, token volume, priority, tolerations and quality of service", () => {
  const got = stored(pod, { metadata: { name: "p" }, spec: { containers: [{ name: "c", image: "x" }] } });
  assert.equal(at(got, "spec", "serviceAccountName"), "default");
  assert.equal(at(listAt(got, "spec", "volumes")[0], "name"), "kube-api-access-abcde");
  assert.equal(
    at(listAt(listAt(got, "spec", "containers")[0], "volumeMounts")[0], "mountPath"),
    "/var/run/secrets/kubernetes.io/serviceaccount",
  );
  assert.equal(at(got, "spec", "priority"), 0);
  assert.deepEqual(
    listAt(got, "spec", "tolerations").map((item) => at(item, "key")),
    ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"],
  );
  assert.deepEqual(got["status"], { phase: "Pending", qosClass: "BestEffort" });
});

test("quality of service follows cpu and memory of all containers", () => {
  const qos = (...resources: JsonObject[]): unknown => {
    const containers = resources.map((item, index) => ({ name: `c${index}`, image: "x", resources: item }));
    return at(stored(pod, { spec: { containers } }), "status", "qosClass");
  };
  const full = { limits: { cpu: "1", memory: "1Gi" } };
  assert.equal(qos({}), "BestEffort");
  assert.equal(qos(full), "Guaranteed");
  assert.equal(qos(full, {}), "Burstable");
  assert.equal(qos({ requests: { cpu: "1" } }), "Burstable");
  assert.equal(qos({ limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "500m" } }), "Burstable");
});

test("a pod that mounts its own token, or wants none, gets no volume", () => {
  const none = stored(pod, {
    spec: { automountServiceAccountToken: false, containers: [{ name: "c", image: "x" }] },
  });
  assert.equal(at(none, "spec", "volumes"), undefined);
  const own = { name: "t", mountPath: "/var/run/secrets/kubernetes.io/serviceaccount" };
  const mounted = stored(pod, { spec: { containers: [{ name: "c", image: "x", volumeMounts: [own] }] } });
  assert.equal(at(mounted, "spec", "volumes"), undefined);
});

test("a system priority class has its value, and a toleration of one's own stays alone", () => {
  const spec = {
    priorityClassName: "system-node-critical",
    tolerations: [{ operator: "Exists" }],
    containers: [{ name: "c", image: "x" }],
  };
  const got = stored(pod, { spec });
  assert.equal(at(got, "spec", "priority"), 2_000_001_000);
  assert.deepEqual(at(got, "spec", "tolerations"), [{ operator: "Exists" }]);
});

test("an update counts what the user wants, not labels and not status", () => {
  const old = stored(deployment, workload());
  const generation = (change: JsonObject): unknown =>
    at(updated(deployment, { ...old, ...change }, old), "metadata", "generation");
  assert.equal(generation({}), 1);
  assert.equal(generation({ metadata: { name: "web", labels: { a: "b" } } }), 1);
  assert.equal(generation({ status: { replicas: 5 } }), 1);
  assert.equal(generation({ spec: { ...objectAt(old, "spec"), replicas: 2 } }), 2);
  assert.equal(generation({ metadata: { name: "web", annotations: { a: "b" } } }), 2);
});

test("an update keeps status and system fields of the old object", () => {
  const old = { ...stored(deployment, workload()), status: { replicas: 1 } };
  const metadata = { name: "web", uid: "u", creationTimestamp: "2026-01-01T00:00:00Z", generation: 3 };
  const got = updated(deployment, { ...workload(), status: { replicas: 9 } }, { ...old, metadata });
  assert.deepEqual(got["metadata"], metadata);
  assert.deepEqual(got["status"], { replicas: 1 });
});

test("an update of the status changes nothing else", () => {
  const old = stored(deployment, workload());
  const got = updated(deployment, { ...workload({ replicas: 9 }), status: { replicas: 2 } }, old, "status");
  assert.equal(at(got, "spec", "replicas"), 1);
  assert.deepEqual(got["status"], { replicas: 2 });
  assert.equal(at(got, "metadata", "generation"), 1);
});

test("the generation of a slice counts its content and labels", () => {
  const slice = kindNamed("EndpointSlice");
  const old = stored(slice, {
    metadata: { name: "s" },
    addressType: "IPv4",
    endpoints: [],
    ports: [{ port: 80 }],
  });
  const generation = (change: JsonObject): unknown =>
    at(updated(slice, { ...old, ...change }, old), "metadata", "generation");
  assert.equal(generation({}), 1);
  assert.equal(generation({ endpoints: [{ addresses: ["10.1.2.3"] }] }), 2);
  assert.equal(generation({ metadata: { name: "s", labels: { a: "b" } } }), 2);
  assert.equal(generation({ metadata: { name: "s", annotations: { a: "b" } } }), 1);
});

test("the list of addresses of a new Service begins with the one it names", () => {
  const addresses = (spec: JsonObject): unknown => at(stored(service, { spec }), "spec", "clusterIPs");
  assert.equal(addresses({ ports: [{ port: 80 }] }), undefined);
  assert.deepEqual(addresses({ clusterIP: "10.96.0.9" }), ["10.96.0.9"]);
  assert.deepEqual(addresses({ clusterIP: "None" }), ["None"]);
  assert.equal(addresses({ type: "ExternalName", clusterIP: "10.96.0.9" }), undefined);
});

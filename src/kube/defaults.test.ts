import assert from "node:assert/strict";
import { test } from "node:test";
import { applyDefaults } from "./defaults.ts";
import { at, objectAt, type JsonObject } from "./json.ts";
import { kindNamed, workload } from "./testing.ts";

const service = kindNamed("Service");
const pod = kindNamed("Pod");

const serviceSpec = (spec: JsonObject): JsonObject => objectAt(applyDefaults(service, { spec }), "spec");
const container = (fields: JsonObject): JsonObject => {
  const object = applyDefaults(pod, { spec: { containers: [{ name: "c", image: "x:1", ...fields }] } });
  const [first] = (at(object, "spec", "containers") ?? []) as JsonObject[];
  return first ?? {};
};

test("a Service gets type, affinity, traffic policies, protocol and target port", () => {
  assert.deepEqual(serviceSpec({ ports: [{ port: 80 }] }), {
    ports: [{ protocol: "TCP", port: 80, targetPort: 80 }],
    type: "ClusterIP",
    sessionAffinity: "None",
    internalTrafficPolicy: "Cluster",
  });
  const balancer = serviceSpec({ type: "LoadBalancer", ports: [{ port: 80, targetPort: "http" }] });
  assert.equal(balancer["externalTrafficPolicy"], "Cluster");
  assert.equal(balancer["allocateLoadBalancerNodePorts"], true);
  assert.equal(serviceSpec({ type: "ExternalName" })["internalTrafficPolicy"], undefined);
  assert.equal(serviceSpec({ externalIPs: ["192.0.2.1"] })["externalTrafficPolicy"], "Cluster");
});

test("client affinity lasts three hours unless told otherwise; none has no settings", () => {
  assert.deepEqual(serviceSpec({ sessionAffinity: "ClientIP" })["sessionAffinityConfig"], {
    clientIP: { timeoutSeconds: 10800 },
  });
  const config = { clientIP: { timeoutSeconds: 5 } };
  assert.deepEqual(
    serviceSpec({ sessionAffinity: "ClientIP", sessionAffinityConfig: config })["sessionAffinityConfig"],
    config,
  );
  assert.equal(serviceSpec({ sessionAffinityConfig: config })["sessionAffinityConfig"], undefined);
});

test("an image is pulled always when its tag is latest, written or implied", () => {
  const table: readonly (readonly [string, string])[] = [
    ["nginx", "Always"],
    ["nginx:latest", "Always"],
    ["localhost:5000/nginx", "Always"],
    ["nginx:1", "IfNotPresent"],
    [`nginx@sha256:${"a".repeat(64)}`, "IfNotPresent"],
  ];
  for (const [image, policy] of table) assert.equal(container({ image })["imagePullPolicy"], policy, image);
});

test("containers get the defaults of their probes, ports and messages; resources are always there", () => {
  const got = container({
    readinessProbe: { httpGet: { port: 80 }, periodSeconds: 0 },
    ports: [{ containerPort: 80 }],
  });
  assert.deepEqual(got["readinessProbe"], {
    httpGet: { path: "/", port: 80, scheme: "HTTP" },
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 3,
  });
  assert.deepEqual(got["ports"], [{ containerPort: 80, protocol: "TCP" }]);
  assert.deepEqual(got["resources"], {});
  assert.equal(got["terminationMessagePath"], "/dev/termination-log");
});

test("limits are requests too, in pods but not in templates", () => {
  const resources = { limits: { cpu: "1", memory: "1024Mi" }, requests: { cpu: "0.5" } };
  assert.deepEqual(container({ resources })["resources"], {
    limits: { cpu: "1", memory: "1Gi" },
    requests: { cpu: "500m", memory: "1Gi" },
  });
  const template = { spec: { containers: [{ name: "c", image: "x", resources: { limits: { cpu: "1" } } }] } };
  const deployment = applyDefaults(kindNamed("Deployment"), { spec: { template } });
  const spec = objectAt(deployment, "spec", "template", "spec");
  assert.deepEqual((spec["containers"] as JsonObject[])[0]?.["resources"], { limits: { cpu: "1" } });
  assert.equal(spec["enableServiceLinks"], undefined);
});

test("a pod on the host network uses its container ports on the host", () => {
  const spec = { hostNetwork: true, containers: [{ name: "c", image: "x", ports: [{ containerPort: 80 }] }] };
  const got = applyDefaults(pod, { spec });
  assert.deepEqual(
    at(got, "spec", "containers") && (at(got, "spec", "containers") as JsonObject[])[0]?.["ports"],
    [{ hostPort: 80, containerPort: 80, protocol: "TCP" }],
  );
});

test("volumes without a source are empty directories; files are 0644", () => {
  const volumes = [
    { name: "a" },
    { name: "b", secret: { secretName: "s" } },
    { name: "c", hostPath: { path: "/x" } },
  ];
  const got = applyDefaults(pod, { spec: { volumes } });
  assert.deepEqual(at(got, "spec", "volumes"), [
    { name: "a", emptyDir: {} },
    { name: "b", secret: { secretName: "s", defaultMode: 420 } },
    { name: "c", hostPath: { path: "/x", type: "" } },
  ]);
});

test("workloads roll by a quarter, keep ten revisions and wait ten minutes for progress", () => {
  const deployment = applyDefaults(kindNamed("Deployment"), workload());
  assert.deepEqual(at(deployment, "spec", "strategy"), {
    type: "RollingUpdate",
    rollingUpdate: { maxUnavailable: "25%", maxSurge: "25%" },
  });
  assert.equal(at(deployment, "spec", "replicas"), 1);
  assert.equal(at(deployment, "spec", "revisionHistoryLimit"), 10);
  assert.equal(at(deployment, "spec", "progressDeadlineSeconds"), 600);
  const recreate = applyDefaults(kindNamed("Deployment"), workload({ strategy: { type: "Recreate" } }));
  assert.deepEqual(at(recreate, "spec", "strategy"), { type: "Recreate" });
  const zero = applyDefaults(kindNamed("Deployment"), workload({ replicas: 0 }));
  assert.equal(at(zero, "spec", "replicas"), 0);
});

test("the text of a Secret ends up in its data", () => {
  const secret = applyDefaults(kindNamed("Secret"), {
    data: { a: "eA==", b: "eA==" },
    stringData: { b: "y", c: "z" },
  });
  assert.deepEqual(secret, { metadata: {}, data: { a: "eA==", b: "eQ==", c: "eg==" }, type: "Opaque" });
});

test("null counts as absent, empty optional lists and maps are not stored, required lists stay as null", () => {
  const got = applyDefaults(kindNamed("ConfigMap"), {
    metadata: { labels: {}, name: "c" },
    data: { a: null },
    binaryData: null,
  });
  assert.deepEqual(got, { metadata: { name: "c" }, data: { a: "" } });
  const slice: JsonObject = applyDefaults<JsonObject>(kindNamed("EndpointSlice"), {
    addressType: "IPv4",
    ports: [{ port: 80 }],
  });
  assert.equal(slice["endpoints"], null);
  assert.deepEqual(slice["ports"], [{ name: "", protocol: "TCP", port: 80 }]);
});

test("defaulting twice changes nothing, and never changes its argument", () => {
  const objects: readonly (readonly [string, JsonObject])[] = [
    ["Service", { spec: { type: "LoadBalancer", ports: [{ port: 80 }] } }],
    [
      "Pod",
      { spec: { containers: [{ name: "c", image: "x", livenessProbe: { exec: { command: ["a"] } } }] } },
    ],
    ["StatefulSet", workload({ volumeClaimTemplates: [{ metadata: { name: "d" }, spec: {} }] })],
    ["DaemonSet", workload()],
    ["NetworkPolicy", { spec: { podSelector: {}, egress: [{}] } }],
  ];
  for (const [name, object] of objects) {
    const before = structuredClone(object);
    const once = applyDefaults(kindNamed(name), object);
    assert.deepEqual(applyDefaults(kindNamed(name), once), once, name);
    assert.deepEqual(object, before, name);
  }
});

test("a field for one family and its successor for both follow each other; the older one wins", () => {
  const addresses = (status: JsonObject): unknown => {
    const got = objectAt(applyDefaults<JsonObject>(kindNamed("Pod"), { status }), "status");
    return [got["podIP"], got["podIPs"]];
  };
  const both = [{ ip: "10.1.0.1" }, { ip: "fd00::1" }];
  assert.deepEqual(addresses({ podIP: "10.1.0.1" }), ["10.1.0.1", [{ ip: "10.1.0.1" }]]);
  assert.deepEqual(addresses({ podIPs: both }), ["10.1.0.1", both]);
  assert.deepEqual(addresses({ podIP: "10.1.0.2", podIPs: both }), ["10.1.0.2", [{ ip: "10.1.0.2" }]]);
  assert.deepEqual(addresses({}), [undefined, undefined]);
  const node = applyDefaults<JsonObject>(kindNamed("Node"), {
    spec: { podCIDRs: ["10.1.0.0/24", "fd00::/64"] },
  });
  assert.equal(objectAt(node, "spec")["podCIDR"], "10.1.0.0/24");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { objectOf, type JsonObject } from "../json.ts";
import { kindNamed } from "../testing.ts";
import { humanDuration } from "./age.ts";
import { tableCells, tableColumns, tableRowConditions } from "./index.ts";

const now = new Date("2026-01-02T00:00:00Z");
const born = "2026-01-01T23:59:15Z";
const named = (name: string, rest: JsonObject): JsonObject => ({
  ...rest,
  metadata: { ...objectOf(rest["metadata"]), name, creationTimestamp: born },
});
const cells = (kind: string, object: JsonObject): unknown[] =>
  tableCells(kindNamed(kind), named("a", object), now);

test("ages are as short as kubectl prints them", () => {
  const table: readonly (readonly [number, string])[] = [
    [-5, "<invalid>"],
    [-1, "0s"],
    [0, "0s"],
    [119, "119s"],
    [120, "2m"],
    [125, "2m5s"],
    [599, "9m59s"],
    [600, "10m"],
    [3 * 3600 - 1, "179m"],
    [3 * 3600, "3h"],
    [3 * 3600 + 60, "3h1m"],
    [8 * 3600, "8h"],
    [47 * 3600, "47h"],
    [48 * 3600, "2d"],
    [49 * 3600, "2d1h"],
    [8 * 86400, "8d"],
    [400 * 86400, "400d"],
    [800 * 86400, "2y70d"],
    [9 * 365 * 86400, "9y"],
  ];
  for (const [seconds, text] of table) assert.equal(humanDuration(seconds * 1000), text);
});

test("columns of `-o wide` have priority 1", () => {
  const columns = tableColumns(kindNamed("Service"));
  assert.deepEqual(
    columns.map(({ name, priority }) => `${name} ${priority}`),
    ["Name 0", "Type 0", "Cluster-IP 0", "External-IP 0", "Port(s) 0", "Age 0", "Selector 1"],
  );
  assert.equal(columns[0]?.format, "name");
  assert.equal(tableColumns(kindNamed("ReplicaSet"))[1]?.type, "integer");
});

test("a Service shows its addresses and ports", () => {
  const ports = [
    { port: 80, protocol: "TCP" },
    { port: 443, nodePort: 30443, protocol: "TCP" },
  ];
  const spec = { clusterIPs: ["10.96.0.9"], ports, selector: { app: "web", b: "c" } };
  assert.deepEqual(cells("Service", { spec: { ...spec, type: "NodePort" } }), [
    "a",
    "NodePort",
    "10.96.0.9",
    "<none>",
    "80/TCP,443:30443/TCP",
    "45s",
    "app=web,b=c",
  ]);
  const external = (extra: JsonObject, status: JsonObject = {}): unknown =>
    cells("Service", { spec: { ...spec, ...extra }, status })[3];
  assert.equal(external({ type: "LoadBalancer" }), "<pending>");
  assert.equal(
    external({ type: "LoadBalancer" }, { loadBalancer: { ingress: [{ ip: "203.0.113.1" }] } }),
    "203.0.113.1",
  );
  assert.equal(external({ type: "ExternalName", externalName: "example.com" }), "example.com");
  assert.equal(external({ type: "ClusterIP", externalIPs: ["192.0.2.1"] }), "192.0.2.1");
});

const running = { ready: true, state: { running: {} }, restartCount: 0, name: "c" };
const pod = (status: JsonObject, spec: JsonObject = {}, metadata: JsonObject = {}): JsonObject => ({
  metadata,
  spec: { containers: [{ name: "c" }], ...spec },
  status,
});

test("the status of a pod tells what its containers do", () => {
  const waiting = (reason: string): JsonObject => ({ name: "c", state: { waiting: { reason } } });
  const ended = (terminated: JsonObject): JsonObject => ({ name: "c", state: { terminated } });
  const init = { initContainers: [{ name: "i" }] };
  const table: readonly (readonly [JsonObject, string, string])[] = [
    [pod({ phase: "Pending" }), "0/1", "Pending"],
    [pod({ phase: "Running", containerStatuses: [running] }), "1/1", "Running"],
    [pod({ phase: "Running", containerStatuses: [{ ...running, ready: false }] }), "0/1", "Running"],
    [
      pod({ phase: "Pending", containerStatuses: [waiting("ContainerCreating")] }),
      "0/1",
      "ContainerCreating",
    ],
    [pod({ phase: "Running", containerStatuses: [waiting("CrashLoopBackOff")] }), "0/1", "CrashLoopBackOff"],
    [pod({ phase: "Failed", containerStatuses: [ended({ exitCode: 7 })] }), "0/1", "ExitCode:7"],
    [pod({ phase: "Failed", containerStatuses: [ended({ signal: 9 })] }), "0/1", "Signal:9"],
    [pod({ phase: "Failed", containerStatuses: [ended({ reason: "OOMKilled" })] }), "0/1", "OOMKilled"],
    [pod({ phase: "Failed", reason: "Evicted" }), "0/1", "Evicted"],
    [
      pod({ phase: "Pending", conditions: [{ type: "PodScheduled", reason: "SchedulingGated" }] }),
      "0/1",
      "SchedulingGated",
    ],
    [
      pod({ phase: "Pending", initContainerStatuses: [{ name: "i", state: { running: {} } }] }, init),
      "0/1",
      "Init:0/1",
    ],
    [
      pod({ phase: "Pending", initContainerStatuses: [ended({ exitCode: 1, reason: "Error" })] }, init),
      "0/1",
      "Init:Error",
    ],
    [
      pod({ phase: "Running", containerStatuses: [running] }, {}, { deletionTimestamp: born }),
      "1/1",
      "Terminating",
    ],
    [
      pod(
        { phase: "Succeeded", containerStatuses: [ended({ reason: "Completed" })] },
        {},
        { deletionTimestamp: born },
      ),
      "0/1",
      "Completed",
    ],
  ];
  for (const [object, ready, status] of table)
    assert.deepEqual(cells("Pod", object).slice(1, 3), [ready, status]);
});

test("a pod with a sidecar counts it, and shows when it last restarted", () => {
  const object = pod(
    {
      phase: "Running",
      initContainerStatuses: [
        {
          name: "s",
          ready: true,
          started: true,
          restartCount: 2,
          state: { running: {} },
          lastState: { terminated: { finishedAt: born } },
        },
      ],
      containerStatuses: [running],
      podIPs: [{ ip: "10.244.0.5" }],
    },
    {
      initContainers: [{ name: "s", restartPolicy: "Always" }],
      nodeName: "node-a",
      readinessGates: [{ conditionType: "x" }],
    },
  );
  assert.deepEqual(cells("Pod", object), [
    "a",
    "2/2",
    "Running",
    "2 (45s ago)",
    "45s",
    "10.244.0.5",
    "node-a",
    "<none>",
    "0/1",
  ]);
});

test("rows of pods that have ended are marked", () => {
  const kind = kindNamed("Pod");
  assert.equal(tableRowConditions(kind, pod({ phase: "Succeeded" }))[0]?.["reason"], "Succeeded");
  assert.deepEqual(tableRowConditions(kind, pod({ phase: "Running" })), []);
  assert.deepEqual(tableRowConditions(kindNamed("Namespace"), { status: { phase: "Failed" } }), []);
});

test("the other kinds show what they are about", () => {
  const template = {
    spec: {
      containers: [
        { name: "c", image: "x:1" },
        { name: "d", image: "y:1" },
      ],
    },
  };
  const selector = {
    matchLabels: { app: "web" },
    matchExpressions: [{ key: "z", operator: "NotIn", values: ["2", "1"] }],
  };
  const table: readonly (readonly [string, JsonObject, unknown[]])[] = [
    [
      "Deployment",
      {
        spec: { replicas: 3, selector, template },
        status: { readyReplicas: 2, updatedReplicas: 1, availableReplicas: 2 },
      },
      ["a", "2/3", 1, 2, "45s", "c,d", "x:1,y:1", "app=web,z notin (1,2)"],
    ],
    [
      "ReplicaSet",
      { spec: { replicas: 1, selector, template } },
      ["a", 1, 0, 0, "45s", "c,d", "x:1,y:1", "app=web,z notin (1,2)"],
    ],
    ["StatefulSet", { spec: { replicas: 1, template } }, ["a", "0/1", "45s", "c,d", "x:1,y:1"]],
    [
      "DaemonSet",
      { spec: { selector, template } },
      ["a", 0, 0, 0, 0, 0, "<none>", "45s", "c,d", "x:1,y:1", "app=web,z notin (1,2)"],
    ],
    [
      "Ingress",
      {
        spec: { rules: ["a", "b", "c", "d"].map((host) => ({ host })), tls: [{}] },
        status: { loadBalancer: { ingress: [{ ip: "203.0.113.5" }] } },
      },
      ["a", "<none>", "a,b,c + 1 more...", "203.0.113.5", "80, 443", "45s"],
    ],
    ["Ingress", { spec: {} }, ["a", "<none>", "*", "", "80", "45s"]],
    [
      "IngressClass",
      { spec: { controller: "inroad.dev/ingress", parameters: { apiGroup: "x.io", kind: "P", name: "p" } } },
      ["a", "inroad.dev/ingress", "P.x.io/p", "45s"],
    ],
    [
      "EndpointSlice",
      {
        addressType: "IPv4",
        ports: [{ port: 80 }, {}],
        endpoints: [{ addresses: ["10.1.2.3"] }, { addresses: ["10.1.2.4"] }],
      },
      ["a", "IPv4", "80,*", "10.1.2.3,10.1.2.4", "45s"],
    ],
    ["EndpointSlice", { addressType: "IPv4" }, ["a", "IPv4", "<unset>", "<unset>", "45s"]],
    ["Secret", { type: "Opaque", data: { x: "", y: "" } }, ["a", "Opaque", 2, "45s"]],
    ["ConfigMap", { data: { x: "" }, binaryData: { y: "" } }, ["a", 2, "45s"]],
    ["Namespace", { status: { phase: "Active" } }, ["a", "Active", "45s"]],
    ["Lease", { spec: { holderIdentity: "h" } }, ["a", "h", "45s"]],
    [
      "Endpoints",
      { subsets: [{ addresses: [{ ip: "10.1.2.3" }], ports: [{ port: 80 }] }] },
      ["a", "10.1.2.3:80", "45s"],
    ],
    ["NetworkPolicy", { spec: { podSelector: {} } }, ["a", "<none>", "45s"]],
    [
      "Node",
      {
        metadata: { labels: { "node-role.kubernetes.io/worker": "" } },
        spec: { unschedulable: true },
        status: {
          conditions: [{ type: "Ready", status: "True" }],
          addresses: [{ type: "InternalIP", address: "172.30.0.11" }],
        },
      },
      [
        "a",
        "Ready,SchedulingDisabled",
        "worker",
        "45s",
        "",
        "172.30.0.11",
        "<none>",
        "<unknown>",
        "<unknown>",
        "<unknown>",
      ],
    ],
    [
      "Event",
      {
        type: "Normal",
        reason: "R",
        message: "m\n",
        involvedObject: { kind: "Pod", name: "p" },
        lastTimestamp: born,
        source: { component: "x" },
      },
      ["45s", "Normal", "R", "pod/p", "", "x", "m", "<unknown>", 1, "a"],
    ],
  ];
  for (const [kind, object, row] of table) assert.deepEqual(cells(kind, object), row, kind);
});

test("every kind has as many cells as columns, even of an empty object", async () => {
  const { kinds } = await import("../kinds.ts");
  for (const kind of kinds)
    assert.equal(tableCells(kind, {}, now).length, tableColumns(kind).length, kind.kind);
});

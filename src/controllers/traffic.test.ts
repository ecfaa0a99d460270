import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { kinds, type KubeObject } from "#kube";
import { silentLog } from "#lib/log";
import { type ApiServer, createApiServer } from "#api";
import { byText, kind, type Pod, type Service } from "./objects.ts";
import type { EndpointSlice } from "./slice-packing.ts";
import { startTestCluster, type TestCluster } from "./test-cluster.ts";

const podKind = kind("v1", "Pod");
const serviceKind = kind("v1", "Service");

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
  const transport = api.transport({ name: "controllers", groups: ["system:masters"] });
  cluster = await startTestCluster(transport, {
    addressPools: [{ name: "default", addresses: ["203.0.113.128/31"], autoAssign: true }],
  });
  await cluster.addNode("node-a");
});

afterEach(async () => {
  await cluster.close();
  api.close();
});

function pod(name: string, spec: object = {}): KubeObject {
  return {
    metadata: { name, namespace: "default", labels: { app: "api" } },
    spec: {
      containers: [{ name: "c", image: "app:1", ports: [{ name: "http", containerPort: 8080 }] }],
      ...spec,
    },
  };
}

function service(name: string, spec: object = {}): KubeObject {
  return {
    metadata: { name, namespace: "default" },
    spec: { selector: { app: "api" }, ports: [{ port: 80, targetPort: "http" }], ...spec },
  };
}

const slices = (): readonly EndpointSlice[] =>
  (cluster.all("discovery.k8s.io/v1", "EndpointSlice") as EndpointSlice[]).filter(
    (slice) => slice.metadata?.labels?.["kubernetes.io/service-name"] !== "kubernetes",
  );
const endpoints = () => slices().flatMap((slice) => slice.endpoints ?? []);
const addressOf = (name: string): string | undefined =>
  (cluster.all("v1", "Service") as Service[]).find((one) => one.metadata?.name === name)?.status?.loadBalancer
    ?.ingress?.[0]?.ip;
const reasons = (): unknown[] => cluster.all("v1", "Event").map((event) => event["reason"]);

test("endpoints follow the pods of a Service: ready, terminating, gone", async () => {
  await cluster.client.create(serviceKind, service("api"));
  await cluster.client.create(podKind, pod("one"));
  await cluster.until("placed", () => (cluster.all("v1", "Pod") as Pod[])[0]?.spec?.nodeName === "node-a");
  const status = {
    phase: "Running",
    podIP: "10.244.0.2",
    podIPs: [{ ip: "10.244.0.2" }],
    conditions: [{ type: "Ready", status: "True" }],
  };
  await cluster.client.patch(podKind, "one", "default", { status }, { type: "merge", subresource: "status" });
  await cluster.until("ready", () => endpoints()[0]?.conditions?.ready === true);
  assert.equal(slices().length, 1);
  assert.deepEqual(slices()[0]?.ports, [{ name: "", port: 8080, protocol: "TCP" }]);
  assert.deepEqual([endpoints()[0]?.addresses, endpoints()[0]?.nodeName], [["10.244.0.2"], "node-a"]);
  await cluster.client.delete(podKind, "one", "default");
  await cluster.until("terminating", () => endpoints()[0]?.conditions?.terminating === true);
  assert.deepEqual(endpoints()[0]?.conditions, { ready: false, serving: true, terminating: true });
  await cluster.client.delete(podKind, "one", "default", { gracePeriodSeconds: 0 });
  await cluster.until("gone", () => endpoints().length === 0 && slices().length === 1);
});

test("labels of nodes make hints, and events tell when topology aware routing begins and ends", async () => {
  await cluster.addNode("node-b");
  const nodeKind = kind("v1", "Node");
  const label = (node: string, zone: string | null) =>
    cluster.client.patch(
      nodeKind,
      node,
      undefined,
      { metadata: { labels: { "topology.kubernetes.io/zone": zone } } },
      { type: "merge" },
    );
  const resources = { allocatable: { cpu: "2" }, capacity: { cpu: "2" } };
  for (const node of ["node-a", "node-b"]) {
    await cluster.client.patch(
      nodeKind,
      node,
      undefined,
      { status: resources },
      { type: "merge", subresource: "status" },
    );
  }
  const annotations = { "service.kubernetes.io/topology-mode": "Auto" };
  const wanted = service("api");
  await cluster.client.create(serviceKind, { ...wanted, metadata: { ...wanted.metadata, annotations } });
  for (const [index, node] of ["node-a", "node-b"].entries()) {
    await cluster.client.create(podKind, pod(node, { nodeName: node }));
    const status = {
      phase: "Running",
      podIP: `10.244.0.${index + 2}`,
      conditions: [{ type: "Ready", status: "True" }],
    };
    await cluster.client.patch(
      podKind,
      node,
      "default",
      { status },
      { type: "merge", subresource: "status" },
    );
  }
  const hints = (): string =>
    endpoints()
      .map(({ nodeName, hints: given }) => `${nodeName}>${given?.forZones?.[0]?.name ?? "all"}`)
      .toSorted(byText)
      .join();
  await cluster.until("no zones yet", () => reasons().includes("TopologyAwareHintsDisabled"));
  await cluster.until("all endpoints", () => hints() === "node-a>all,node-b>all");
  await label("node-a", "east");
  await label("node-b", "west");
  await cluster.until("hints", () => hints() === "node-a>east,node-b>west");
  await cluster.until("the event", () => reasons().includes("TopologyAwareHintsEnabled"));
  await label("node-b", null);
  await cluster.until("no hints", () => hints() === "node-a>all,node-b>all");
});

test("a slice that somebody deletes is made again", async () => {
  await cluster.client.create(serviceKind, service("api"));
  await cluster.until("a slice", () => slices().length === 1);
  const first = slices()[0]?.metadata?.name ?? "";
  await cluster.client.delete(kind("discovery.k8s.io/v1", "EndpointSlice"), first, "default");
  await cluster.until("another slice", () => slices().length === 1 && slices()[0]?.metadata?.name !== first);
});

test("load-balancer addresses are given, run out with an event, and are released with the type", async () => {
  for (const name of ["a", "b"])
    await cluster.client.create(serviceKind, service(name, { type: "LoadBalancer" }));
  await cluster.until("addresses", () => addressOf("a") !== undefined && addressOf("b") !== undefined);
  assert.deepEqual([addressOf("a") ?? "", addressOf("b") ?? ""].toSorted(byText), [
    "203.0.113.128",
    "203.0.113.129",
  ]);
  await cluster.client.create(serviceKind, service("c", { type: "LoadBalancer" }));
  await cluster.until("the event", () => reasons().includes("AddressPoolExhausted"));
  const freed = addressOf("a");
  await cluster.client.patch(serviceKind, "a", "default", { spec: { type: "ClusterIP" } }, { type: "merge" });
  await cluster.until(
    "c has the address of a",
    () => addressOf("c") === freed && addressOf("a") === undefined,
  );
});

test("an address for the PROXY protocol says so in its status, as long as it is asked for", async () => {
  const annotate = (version: string | null) => ({
    metadata: { annotations: { "inroad.dev/proxy-protocol": version } },
  });
  const shown = (): string | undefined =>
    (cluster.all("v1", "Service") as Service[]).find((one) => one.metadata?.name === "a")?.status
      ?.loadBalancer?.ingress?.[0]?.ipMode;
  await cluster.client.create(serviceKind, service("a", { type: "LoadBalancer" }));
  await cluster.until("an address", () => shown() === "VIP");
  await cluster.client.patch(serviceKind, "a", "default", annotate("v2"), { type: "merge" });
  await cluster.until("mode Proxy", () => shown() === "Proxy");
  await cluster.client.patch(serviceKind, "a", "default", annotate(null), { type: "merge" });
  await cluster.until("mode VIP", () => shown() === "VIP");
});

test("an Ingress of our class shows the address of the ingress Service; others are left alone", async () => {
  await cluster.client.create(kind("v1", "Namespace"), { metadata: { name: "inroad-system" } });
  const front = service("inroad-ingress", { type: "LoadBalancer" });
  await cluster.client.create(serviceKind, {
    ...front,
    metadata: { name: "inroad-ingress", namespace: "inroad-system" },
  });
  await cluster.client.create(kind("networking.k8s.io/v1", "IngressClass"), {
    metadata: { name: "inroad", annotations: { "ingressclass.kubernetes.io/is-default-class": "true" } },
    spec: { controller: "inroad.dev/ingress" },
  });
  const backend = { service: { name: "api", port: { number: 80 } } };
  const ingressKind = kind("networking.k8s.io/v1", "Ingress");
  for (const [name, extra] of [
    ["ours", {}],
    ["theirs", { ingressClassName: "nginx" }],
  ] as const) {
    await cluster.client.create(ingressKind, {
      metadata: { name, namespace: "default" },
      spec: { defaultBackend: backend, ...extra },
    });
  }
  const shown = (name: string): unknown =>
    cluster.all("networking.k8s.io/v1", "Ingress").find((one) => one.metadata?.name === name)?.["status"];
  await cluster.until(
    "the address",
    () => JSON.stringify(shown("ours")) === '{"loadBalancer":{"ingress":[{"ip":"203.0.113.128"}]}}',
  );
  assert.deepEqual(shown("theirs"), { loadBalancer: {} });
});

test("what is wrong with an Ingress becomes an event on it", async () => {
  await cluster.client.create(kind("networking.k8s.io/v1", "IngressClass"), {
    metadata: { name: "inroad" },
    spec: { controller: "inroad.dev/ingress" },
  });
  const backend = { service: { name: "missing", port: { number: 80 } } };
  const ingress = await cluster.client.create(kind("networking.k8s.io/v1", "Ingress"), {
    metadata: { name: "web", namespace: "default" },
    spec: { ingressClassName: "inroad", defaultBackend: backend },
  });
  const about = (event: KubeObject): boolean =>
    (event["involvedObject"] as { uid?: string } | undefined)?.uid === ingress.metadata?.uid;
  await cluster.until("the event", () => cluster.all("v1", "Event").some(about));
  const event = cluster.all("v1", "Event").find(about);
  assert.equal(event?.["type"], "Warning");
  assert.match(String(event?.["message"]), /missing/);
});

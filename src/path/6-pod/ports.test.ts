import { test } from "node:test";
import assert from "node:assert/strict";
import { compile } from "#model";
import type { ServiceModel, Snapshot } from "#model";
import type { PodSpec } from "kubernetes-types/core/v1.js";
import { planPorts, resolvePort, targetPorts } from "./ports.ts";

const tcp = (port: number) => ({ port, protocol: "TCP" as const });

function plan(spec: PodSpec, extra: { port: number; protocol: "TCP" | "UDP" }[] = [], mapped: string[] = []) {
  return Object.fromEntries(planPorts(spec, extra, ({ name }) => !mapped.includes(name)));
}

test("a container listens on what it declares and what its probes ask for", () => {
  const spec: PodSpec = {
    containers: [
      {
        name: "app",
        ports: [
          { containerPort: 80 },
          { containerPort: 53, protocol: "UDP" },
          { containerPort: 9, protocol: "SCTP" },
        ],
        readinessProbe: { httpGet: { port: 8081 } },
        livenessProbe: { tcpSocket: { port: 80 } },
        startupProbe: { tcpSocket: { port: "named" } },
      },
    ],
  };
  assert.deepEqual(plan(spec), { app: [tcp(80), { port: 53, protocol: "UDP" }, tcp(8081)] });
});

test("a port belongs to the container that declares it, also if another one's probe or a Service asks for it", () => {
  const spec: PodSpec = {
    containers: [
      { name: "one", readinessProbe: { tcpSocket: { port: 9090 } } },
      { name: "two", ports: [{ containerPort: 9090 }] },
    ],
  };
  assert.deepEqual(plan(spec, [tcp(9090)]), { one: [], two: [tcp(9090)] });
});

test("ports that only Services know go to the first stand-in", () => {
  const spec: PodSpec = { containers: [{ name: "one" }, { name: "two" }] };
  assert.deepEqual(plan(spec, [tcp(3000)], ["one"]), { one: [], two: [tcp(3000)] });
  assert.deepEqual(plan(spec, [tcp(3000)], ["one", "two"]), { one: [], two: [] });
});

test("sidecars listen too, init containers do not", () => {
  const spec: PodSpec = {
    initContainers: [
      { name: "prepare", ports: [{ containerPort: 1 }] },
      { name: "mesh", restartPolicy: "Always", ports: [{ containerPort: 2 }] },
    ],
    containers: [{ name: "app" }],
  };
  assert.deepEqual(plan(spec), { mesh: [tcp(2)], app: [] });
});

const service = (name: string, more: Partial<ServiceModel>): ServiceModel => ({
  namespace: "default",
  name,
  type: "ClusterIP",
  clusterIPs: [],
  headless: false,
  selector: { app: "api" },
  loadBalancerIPs: [],
  externalTrafficPolicy: "Cluster",
  internalTrafficPolicy: "Cluster",
  sessionAffinity: "None",
  publishNotReadyAddresses: false,
  ports: [
    { name: "a", protocol: "TCP", port: 80, targetPort: 8080, endpoints: [] },
    { name: "b", protocol: "TCP", port: 81, targetPort: "http", endpoints: [] },
    { name: "c", protocol: "SCTP", port: 82, targetPort: 82, endpoints: [] },
  ],
  ...more,
});

test("target ports are the numeric ones of Services of the namespace that select the pod", () => {
  const services = [
    service("one", {}),
    service("other", { selector: { app: "web" } }),
    service("elsewhere", { namespace: "other" }),
    service("headless", { selector: {} }),
  ];
  const snapshot: Snapshot = {
    ...compile(
      {
        nodes: [],
        pods: [],
        services: [],
        endpointSlices: [],
        ingresses: [],
        ingressClasses: [],
        secrets: [],
        namespaces: [],
      },
      { domain: "cluster.local" },
    ),
    services: new Map(services.map((one) => [`${one.namespace}/${one.name}`, one])),
  };
  assert.deepEqual(targetPorts(snapshot, { namespace: "default", labels: { app: "api", tier: "x" } }), [
    tcp(8080),
  ]);
});

test("a port name is looked up in the container", () => {
  const container = { name: "app", ports: [{ name: "http", containerPort: 8080 }] };
  assert.equal(resolvePort(container, "http"), 8080);
  assert.equal(resolvePort(container, 9), 9);
  assert.equal(resolvePort(container, "none"), undefined);
});

import { test } from "node:test";
import assert from "node:assert/strict";
import { compile } from "#model";
import type { PodModel, Protocol, ServiceModel, Snapshot } from "#model";
import { explain } from "./explain.ts";

const pod: PodModel = {
  namespace: "default",
  name: "api",
  uid: "1",
  node: "node-a",
  address: "10.244.0.2",
  addresses: ["10.244.0.2"],
  labels: { app: "api" },
  ready: true,
  terminating: false,
  hostNetwork: false,
  ports: [{ name: "http", containerPort: 8080, protocol: "TCP" }],
};
const service: ServiceModel = {
  namespace: "default",
  name: "api",
  type: "ClusterIP",
  clusterIPs: ["10.96.0.5"],
  headless: false,
  selector: { app: "api" },
  ports: [{ name: "", protocol: "TCP", port: 80, targetPort: 9000, endpoints: [] }],
  loadBalancerIPs: [],
  externalTrafficPolicy: "Cluster",
  internalTrafficPolicy: "Cluster",
  sessionAffinity: "None",
  publishNotReadyAddresses: false,
};
const base: Snapshot = compile(
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
);

function ask(port: number, options: { pod?: Partial<PodModel>; protocol?: Protocol; name?: string } = {}) {
  const snapshot: Snapshot = {
    ...base,
    pods: new Map([["default/api", { ...pod, ...options.pod }]]),
    services: new Map([["default/api", service]]),
  };
  const place = { at: "pod", pod: { namespace: "default", name: options.name ?? "api" } } as const;
  return explain(snapshot, place, {
    protocol: options.protocol ?? "TCP",
    source: { address: "10.244.1.3" },
    destination: { address: "10.244.0.2", port },
  });
}

test("a declared port is delivered", () => {
  const { steps, outcome } = ask(8080);
  assert.deepEqual(outcome, { kind: "delivered", pod: { namespace: "default", name: "api" } });
  assert.equal(steps[0]?.evaluated[0]?.why, "containerPort 8080 (http)");
});

test("a port that only a Service's targetPort names is delivered too", () => {
  assert.equal(ask(9000).outcome.kind, "delivered");
});

test("any other port is refused, with what the pod declares and what to do", () => {
  const { steps, outcome } = ask(81);
  assert.equal(outcome.kind, "rejected");
  assert.equal(steps[0]?.evaluated[0]?.why, "the pod declares 8080/TCP");
  assert.match("mend" in outcome ? (outcome.mend ?? "") : "", /targetPort/);
});

test("the same number in another protocol is another port", () => {
  assert.equal(ask(8080, { protocol: "UDP" }).outcome.kind, "rejected");
});

test("a request for an ingress pod goes on inside the ingress; DNS of a DNS pod is delivered", () => {
  const { outcome } = ask(443, { pod: { component: "ingress", ports: [] } });
  assert.ok(outcome.kind === "next" && outcome.alternatives[0]?.place.at === "ingress");
  assert.equal(ask(53, { protocol: "UDP", pod: { component: "dns", ports: [] } }).outcome.kind, "delivered");
});

test("not ready and terminating are noted, and the packet is delivered all the same", () => {
  const { steps, outcome } = ask(8080, { pod: { ready: false, terminating: true } });
  assert.equal(outcome.kind, "delivered");
  assert.deepEqual(
    steps[0]?.evaluated.slice(1).map(({ what }) => what),
    ["readiness", "deletion"],
  );
});

test("a pod that does not exist is unknown", () => {
  assert.equal(ask(8080, { name: "ghost" }).outcome.kind, "unknown");
});

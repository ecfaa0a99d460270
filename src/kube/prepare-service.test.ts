import assert from "node:assert/strict";
import { test } from "node:test";
import { at, listAt, objectAt, type JsonObject } from "./json.ts";
import { kindNamed, stored, updated } from "./testing.ts";

const service = kindNamed("Service");
const old = stored(service, {
  metadata: { name: "web" },
  spec: {
    type: "LoadBalancer",
    externalTrafficPolicy: "Local",
    healthCheckNodePort: 31000,
    clusterIP: "10.96.0.9",
    ports: [
      { name: "http", port: 80, nodePort: 30080 },
      { name: "https", port: 443, nodePort: 30443 },
    ],
  },
});

const change = (spec: JsonObject): JsonObject =>
  objectAt(updated(service, { metadata: { name: "web" }, spec }, old), "spec");
const nodePorts = (spec: JsonObject): unknown[] =>
  listAt(change(spec), "ports").map((port) => at(port, "nodePort"));
const ports = [
  { name: "http", port: 80 },
  { name: "https", port: 443 },
];

test("allocated values stay when an update leaves them out", () => {
  const spec = change({ type: "LoadBalancer", externalTrafficPolicy: "Local", ports });
  assert.equal(spec["clusterIP"], "10.96.0.9");
  assert.deepEqual(spec["clusterIPs"], ["10.96.0.9"]);
  assert.equal(spec["healthCheckNodePort"], 31000);
  assert.deepEqual(
    listAt(spec, "ports").map((port) => at(port, "nodePort")),
    [30080, 30443],
  );
});

test("node ports follow the name of their port, unless another one has taken them", () => {
  const type = "NodePort";
  assert.deepEqual(nodePorts({ type, ports: [{ name: "https", port: 8443 }] }), [30443]);
  assert.deepEqual(nodePorts({ type, ports: [{ name: "other", port: 80 }] }), [undefined]);
  const taken = [
    { name: "new", port: 1, nodePort: 30080 },
    { name: "http", port: 80 },
  ];
  assert.deepEqual(nodePorts({ type, ports: taken }), [30080, undefined]);
});

test("what belonged to the former type goes with it", () => {
  const spec = change({ ...objectAt(old, "spec"), type: "ClusterIP" });
  for (const field of ["externalTrafficPolicy", "healthCheckNodePort", "allocateLoadBalancerNodePorts"]) {
    assert.equal(spec[field], undefined, field);
  }
  assert.deepEqual(
    listAt(spec, "ports").map((port) => at(port, "nodePort")),
    [undefined, undefined],
  );
  assert.equal(spec["clusterIP"], "10.96.0.9");
});

test("an ExternalName has no address, and no policy for traffic inside the cluster", () => {
  const spec = change({ ...objectAt(old, "spec"), type: "ExternalName", externalName: "example.com" });
  for (const field of ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"]) {
    assert.equal(spec[field], undefined, field);
  }
});

test("a client that changes only clusterIP means the whole list", () => {
  const spec = change({ ...objectAt(old, "spec"), clusterIP: "10.96.0.10" });
  assert.deepEqual(spec["clusterIPs"], ["10.96.0.10"]);
});

test("a Service that is no load balancer any more forgets the addresses of the balancer", () => {
  const balanced = { ...old, status: { loadBalancer: { ingress: [{ ip: "203.0.113.1" }] } } };
  const next = { metadata: { name: "web" }, spec: { ...objectAt(old, "spec"), type: "NodePort" } };
  assert.deepEqual(updated(service, next, balanced)["status"], { loadBalancer: {} });
});

test("the status of a balancer says how traffic arrives", () => {
  const status = { loadBalancer: { ingress: [{ ip: "203.0.113.1" }, { hostname: "lb.example.com" }] } };
  assert.deepEqual(
    at(updated(service, { ...old, status }, old, "status"), "status", "loadBalancer", "ingress"),
    [{ ip: "203.0.113.1", ipMode: "VIP" }, { hostname: "lb.example.com" }],
  );
});

test("the policy SingleStack alone gives back the second address and family", () => {
  const dual = {
    ...old,
    spec: {
      ...objectAt(old, "spec"),
      clusterIPs: ["10.96.0.9", "fd00::9"],
      ipFamilies: ["IPv4", "IPv6"],
      ipFamilyPolicy: "RequireDualStack",
    },
  };
  const after = (spec: JsonObject): unknown[] => {
    const next = { metadata: { name: "web" }, spec: { ...objectAt(dual, "spec"), ...spec } };
    const got = objectAt(updated(service, next, dual), "spec");
    return [got["clusterIPs"], got["ipFamilies"]];
  };
  const one = [["10.96.0.9"], ["IPv4"]];
  assert.deepEqual(after({ ipFamilyPolicy: "SingleStack" }), one);
  const unsaid = { clusterIPs: undefined, ipFamilies: undefined };
  assert.deepEqual(after({ ipFamilyPolicy: "SingleStack", ...unsaid }), one);
  assert.deepEqual(after({ ipFamilyPolicy: "SingleStack", ipFamilies: ["IPv6"] }), [["10.96.0.9"], ["IPv6"]]);
  assert.deepEqual(after(unsaid), [
    ["10.96.0.9", "fd00::9"],
    ["IPv4", "IPv6"],
  ]);
});

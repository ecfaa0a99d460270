import assert from "node:assert/strict";
import { test } from "node:test";
import type { Flow, Place } from "#model";
import { policy } from "../../test/support/policy-world.ts";
import { exampleSnapshot, vip } from "../../test/support/snapshot.ts";
import { drive } from "./index.ts";

const snapshot = exampleSnapshot();
const api1 = { namespace: "default", name: "api-1" };
const http = { method: "GET", host: "api.hadywafa.com", path: "/", headers: {} };

function flowTo(destination: Flow["destination"], source = "203.0.113.10"): Flow {
  return { protocol: "TCP", source: { address: source }, destination, http };
}

/** Where a request starts, the places it passes, and how it ends. */
const ways: readonly (readonly [name: string, place: Place, flow: Flow, passes: string, end: string])[] = [
  [
    "from outside by name",
    { at: "public-dns" },
    flowTo({ name: "api.hadywafa.com", port: 80 }),
    "public-dns edge proxy node pod ingress cluster-dns proxy node pod",
    "delivered",
  ],
  [
    "from a pod by the Service's short name",
    { at: "cluster-dns", pod: api1 },
    flowTo({ name: "api-service", port: 80 }, "10.244.0.5"),
    "cluster-dns proxy node pod",
    "delivered",
  ],
  [
    "from a pod by the public name",
    { at: "cluster-dns", pod: api1 },
    flowTo({ name: "api.hadywafa.com", port: 80 }, "10.244.0.5"),
    "cluster-dns proxy node pod ingress cluster-dns proxy node pod",
    "delivered",
  ],
  [
    "from a node to a ClusterIP",
    { at: "proxy", node: "node-b", from: "node" },
    flowTo({ address: "10.96.1.1", port: 80 }, "172.30.0.12"),
    "proxy node pod",
    "delivered",
  ],
  [
    "to a name nobody has",
    { at: "public-dns" },
    flowTo({ name: "x.example", port: 80 }),
    "public-dns",
    "rejected",
  ],
  [
    "to a port the load balancer has not",
    { at: "edge" },
    flowTo({ address: vip, port: 81 }),
    "edge",
    "rejected",
  ],
];

for (const [name, place, flow, passes, end] of ways) {
  test(`a request ${name} is ${end}`, () => {
    const { visits, verdict } = drive(snapshot, { place, flow }, () => 0);
    assert.equal(visits.map((visit) => visit.place.at).join(" "), passes);
    assert.equal(verdict.kind, end, JSON.stringify(verdict));
  });
}

test("every alternative of every hop leads to a pod", () => {
  const start = {
    place: { at: "public-dns" } as const,
    flow: flowTo({ name: "api.hadywafa.com", port: 80 }),
  };
  const reached = new Set<string>();
  for (let turn = 0; turn < 12; turn++) {
    const { verdict } = drive(snapshot, start, (alternatives) => turn % alternatives.length);
    if (verdict.kind === "delivered") reached.add(verdict.pod.name);
  }
  assert.deepEqual([...reached].sort(), ["api-1", "api-2", "api-3"]);
});

test("the nodes' kind of rules counts: a ClusterIP's other ports are rejected by nftables and passed on by iptables", () => {
  const start = {
    place: { at: "proxy", node: "node-a", from: "pod" } as const,
    flow: flowTo({ address: "10.96.1.1", port: 81 }, "10.244.0.5"),
  };
  const first = (mode: "nftables" | "iptables") =>
    drive(snapshot, start, () => 0, { mode }).visits[0]?.steps[0];
  assert.equal(first("nftables")?.action, "reject");
  assert.equal(first("iptables")?.action, "pass");
  assert.equal(first("iptables")?.component, "proxy node-a (iptables)");
});

const api = { podSelector: { matchLabels: { app: "api" } } };
const fromOutside = {
  place: { at: "public-dns" },
  flow: flowTo({ name: "api.hadywafa.com", port: 80 }),
} as const;

test("a way that NetworkPolicies close ends there, with the policy among the objects that decide", () => {
  const route = drive(
    exampleSnapshot({ networkPolicies: [policy("default/closed", api)] }),
    fromOutside,
    () => 0,
  );
  assert.equal(route.verdict.kind, "dropped");
  assert.deepEqual(route.visits.at(-1)?.objects, [
    { kind: "Node", name: "node-a" },
    { kind: "NetworkPolicy", namespace: "default", name: "closed" },
  ]);
});

test("behind a policy that cannot be read nothing is certain", () => {
  const networkPolicies = [policy("default/unreadable", { ...api, policyTypes: ["in"] })];
  const route = drive(exampleSnapshot({ networkPolicies }), fromOutside, () => 0);
  assert.equal(route.reached.kind, "delivered");
  assert.equal(route.verdict.kind, "unknown");
});

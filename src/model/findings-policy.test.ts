import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "#kube";
import { exampleSnapshot, pod, service } from "../../test/support/snapshot.ts";
import { policy } from "../../test/support/policy-world.ts";
import type { Finding, Snapshot } from "./types.ts";
import { findingsAbout } from "./findings.ts";

const about = (object: KubeObject, more: Parameters<typeof exampleSnapshot>[0] = {}): readonly Finding[] =>
  exampleSnapshot({ networkPolicies: [object], ...more }).findings.filter(
    (finding) => finding.object.kind === "NetworkPolicy",
  );
const codes = (findings: readonly Finding[]) => findings.map(({ code, field }) => `${code} ${field}`);
const api = { podSelector: { matchLabels: { app: "api" } } };

test("an ordinary policy is no finding", () => {
  const ordinary = policy("default/ok", {
    ...api,
    ingress: [{ from: [{ namespaceSelector: {} }], ports: [{ protocol: "TCP", port: 8080 }] }],
    egress: [{ to: [{ ipBlock: { cidr: "0.0.0.0/0", except: ["10.0.0.0/8"] } }] }],
  });
  assert.deepEqual(about(ordinary), []);
});

test("a policy that selects no pod is reported, and changes no verdict", () => {
  const [finding, ...others] = about(
    policy("default/typo", { podSelector: { matchLabels: { app: "apy" } } }),
  );
  assert.equal(finding?.code, "PolicySelectsNoPod");
  assert.equal(finding.affectsRouting, false);
  assert.deepEqual(finding.object, { kind: "NetworkPolicy", namespace: "default", name: "typo" });
  assert.deepEqual(others, []);
});

test("pods in the network of their host are named: policies do not bind them", () => {
  const host = pod("agent", { node: "node-a", address: "172.30.0.11", labels: { app: "agent" } });
  const pods = [{ ...host, spec: { nodeName: "node-a", hostNetwork: true, containers: [] } }];
  const spec = { podSelector: { matchLabels: { app: "agent" } } };
  const snapshot = exampleSnapshot({ pods, networkPolicies: [policy("default/agents", spec)] });
  const [finding] = findingsAbout(snapshot, { kind: "Pod", namespace: "default", name: "agent" });
  assert.equal(finding?.code, "PolicySelectsHostNetwork");
  assert.match(finding.message, /does not bind agent:/);
  assert.equal(snapshot.policies.get("default/agents")?.selected.size, 0);
});

test("selectors of peers that find nobody are reported with their place", () => {
  const from = (name: string) => ({ podSelector: { matchLabels: { app: name } } });
  const spec = { ...api, ingress: [{ from: [from("api")] }, { from: [from("web"), from("wep")] }] };
  assert.deepEqual(codes(about(policy("default/p", spec))), ["PolicyPeerSelectsNoPod spec.ingress[1].from"]);
});

test("a named port that no destination has is reported: selected pods for ingress, peers for egress", () => {
  const pods = [
    pod("api", { node: "node-a", address: "10.244.0.5", portName: "http" }),
    pod("db", { node: "node-a", address: "10.244.0.6", labels: { app: "db" }, portName: "sql" }),
  ];
  const ports = [{ port: "http" }, { port: "sql" }];
  const to = [{ podSelector: { matchLabels: { app: "db" } } }];
  const spec = { ...api, ingress: [{ ports }], egress: [{ to, ports }] };
  assert.deepEqual(codes(about(policy("default/p", spec), { pods })), [
    "PolicyPortNameMissing spec.ingress[0].ports[1].port",
    "PolicyPortNameMissing spec.egress[0].ports[0].port",
  ]);
});

test("a block of pod addresses or of a ClusterIP is reported", () => {
  const blocks = ["10.244.1.0/25", "10.96.1.1/32", "192.0.2.0/24", "10.0.0.0/8"];
  const spec = { ...api, egress: [{ to: blocks.map((cidr) => ({ ipBlock: { cidr } })) }] };
  const services = [service("api-service", { app: "api" }, { clusterIP: "10.96.1.1" })];
  const found = about(policy("default/p", spec), { services, endpointSlices: [], ingresses: [] });
  assert.deepEqual(
    found.map(({ code, message }) => `${code}: ${message.split(";")[0]}`),
    [
      "PolicyBlockOfPods: ipBlock 10.244.1.0/25 lies among the pod addresses of node node-b, which pass from pod to pod",
      "PolicyBlockIsService: ipBlock 10.96.1.1/32 is an address of Service default/api-service",
    ],
  );
});

const unreadable: Readonly<Record<string, object>> = {
  "a malformed CIDR": { ingress: [{ from: [{ ipBlock: { cidr: "10.0.0.0/33" } }] }] },
  "a malformed exception": { ingress: [{ from: [{ ipBlock: { cidr: "10.0.0.0/8", except: ["x"] } }] }] },
  "an unknown operator": {
    podSelector: { matchExpressions: [{ key: "app", operator: "Like", values: ["a"] }] },
  },
  "an operator without its values": { podSelector: { matchExpressions: [{ key: "app", operator: "In" }] } },
  "a peer that says nothing": { egress: [{ to: [{}] }] },
  "a port out of range": { ingress: [{ ports: [{ port: 65536 }] }] },
  "a range that runs backwards": { ingress: [{ ports: [{ port: 90, endPort: 80 }] }] },
  "an unknown policyType": { policyTypes: ["ingress"] },
};

for (const [what, spec] of Object.entries(unreadable)) {
  test(`${what} makes the policy unreadable: it binds nobody, and what it is about is unknown`, () => {
    const good = policy("default/good", api);
    const snapshot: Snapshot = exampleSnapshot({ networkPolicies: [policy("default/bad", spec), good] });
    assert.deepEqual([...snapshot.policies.keys()], ["default/good"]);
    const [finding] = findingsAbout(snapshot, { kind: "Pod", namespace: "default", name: "api-1" });
    assert.equal(finding?.code, "InvalidObject");
    assert.equal(finding.affectsRouting, true);
    assert.equal(finding.object.name, "bad");
  });
}

test("a name that could be read as rules is no name", () => {
  for (const name of ["a\nflush ruleset", "a b", "A", "-a", "a".repeat(254), ""]) {
    const snapshot = exampleSnapshot({ networkPolicies: [policy(`default/${name}`, api)] });
    assert.equal(snapshot.policies.size, 0, name);
    assert.equal(snapshot.findings[0]?.code, "InvalidObject");
  }
});

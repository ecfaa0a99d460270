import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "#kube";
import { exampleSnapshot } from "../../test/support/snapshot.ts";
import { policy } from "../../test/support/policy-world.ts";
import { healthy, predictExample, request, upstream } from "../../test/support/trace.ts";
import { compare } from "./compare.ts";
import { followEvidence } from "./evidence.ts";
import type { DeniedConnection, Observations, Trace } from "./types.ts";
import { exitStatusOf } from "./verdict.ts";

const api = { podSelector: { matchLabels: { app: "api" } } };
const inroad = { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "inroad-system" } } };
const allowed = policy("default/from-ingress", {
  ...api,
  ingress: [{ from: [inroad], ports: [{ port: 8080 }] }],
});
const closed = policy("default/closed", api);
const fromPod = { ...request, from: "pod/default/api-1", url: "http://10.96.1.1/" };

function traceOf(observations: Observations, networkPolicies: readonly KubeObject[], from = request): Trace {
  const snapshot = exampleSnapshot({ networkPolicies });
  return compare(predictExample(followEvidence(snapshot, observations), snapshot, from), observations);
}

const denied = (
  to: string,
  direction: DeniedConnection["direction"],
  from: readonly [string, number] = upstream,
): DeniedConnection => ({
  direction,
  protocol: "tcp",
  source: from[0],
  sourcePort: from[1],
  destination: to,
  destinationPort: 8080,
});
const [onNodeA, onNodeB] = healthy.conntrack;
const gatewayTimeout: Observations = {
  client: { ...healthy.client, response: { status: 504 } },
  ingress: { ...healthy.ingress, status: 504, error: "connect ETIMEDOUT 10.96.1.1:80" },
};

test("a policy that lets the request pass stands in the trace, with the rule that did", () => {
  const trace = traceOf(healthy, [allowed]);
  assert.equal(trace.verdict.outcome, "delivered");
  assert.deepEqual(trace.disagreements, []);
  const step = trace.steps.find(({ action }) => action === "admit");
  assert.equal(step?.component, "node node-b");
  assert.deepEqual(step.evaluated, [
    { what: "NetworkPolicy default/from-ingress (ingress)", matched: true, why: "ingress[0] allows it" },
  ]);
  assert.deepEqual(step.evidence.predicted, [
    "policy/default/from-ingress/ingress: ip saddr @policy/default/from-ingress/ingress/0/peers tcp dport { 8080 } accept",
  ]);
  // Replies are no matter of policy.
  assert.deepEqual(
    trace.wayBack.filter(({ action }) => action === "admit"),
    [],
  );
});

test("kept back on the other node: the node of the sender tracks it, the policies of the other recorded it", () => {
  const trace = traceOf(
    {
      ...gatewayTimeout,
      conntrack: [onNodeA, { ...onNodeB, entries: [] }],
      denied: [
        { node: "node-a", entries: [] },
        { node: "node-b", entries: [denied("10.244.1.5", "ingress")] },
      ],
    },
    [closed],
  );
  assert.equal(trace.verdict.outcome, "dropped");
  assert.match(
    trace.verdict.reason,
    /^NetworkPolicy default\/closed isolates the ingress of pod default\/api-3 /,
  );
  assert.match(
    trace.verdict.mend ?? "",
    /add to spec\.ingress a rule with from: pods .* of namespace inroad-system/,
  );
  assert.deepEqual(trace.disagreements, []);
  assert.equal(exitStatusOf(trace), 1);
  const drop = trace.steps.at(-1);
  assert.deepEqual([drop?.action, drop?.component], ["drop", "node node-b"]);
  assert.deepEqual(drop?.evidence.records, [
    "policies of node-b: ingress tcp 10.244.0.3:41234 -> 10.244.1.5:8080",
  ]);
});

test("kept back where it starts: nothing is tracked, and the record tells where it was translated to", () => {
  const end = ["10.244.0.5", 40001] as const;
  const observations: Observations = {
    client: {
      client: { address: end[0], port: end[1] },
      error: { code: "ETIMEDOUT", message: "connect: nothing after 5000 ms" },
    },
    conntrack: [
      { node: "node-a", entries: [] },
      { node: "node-b", entries: [] },
    ],
    denied: [
      { node: "node-a", entries: [denied("10.244.1.5", "egress", end)] },
      { node: "node-b", entries: [] },
    ],
  };
  const trace = traceOf(observations, [policy("default/out", { ...api, policyTypes: ["Egress"] })], fromPod);
  assert.deepEqual(trace.disagreements, []);
  assert.match(
    trace.verdict.reason,
    /^NetworkPolicy default\/out isolates the egress of pod default\/api-1 /,
  );
  const translated = trace.steps.find(({ action }) => action === "DNAT")?.evidence.checks[0];
  assert.deepEqual(
    [translated?.observed, translated?.source, translated?.predicted.length],
    ["10.244.1.5:8080", "policies of node-a", 3],
  );
});

test("it is shouted when a packet passes that policies should keep back", () => {
  const trace = traceOf({ ...healthy, denied: [{ node: "node-b", entries: [] }] }, [closed]);
  assert.deepEqual(
    trace.disagreements.map(({ component, observed }) => `${component}: ${observed}`),
    ["node node-b: not recorded", "client: HTTP 200"],
  );
});

test("what was not read is missing, not wrong", () => {
  const trace = traceOf({ ...gatewayTimeout, conntrack: [onNodeA] }, [closed]);
  assert.deepEqual(trace.disagreements, []);
  assert.deepEqual(trace.steps.at(-1)?.evidence.missing, ["what policies keep back on node-b was not read"]);
});

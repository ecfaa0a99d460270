/** Traces of a cluster without namespaces: the proxy's own account stands in for the kernel's. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { exampleSnapshot } from "../../test/support/snapshot.ts";
import { healthy, tracked } from "../../test/support/trace.ts";
import { compare } from "./compare.ts";
import { followEvidence } from "./evidence.ts";
import { predict } from "./predict.ts";
import type { Observations, Trace } from "./types.ts";

const snapshot = exampleSnapshot();
const userspace = { proxies: { mode: "userspace" } } as const;

function traceOf(url: string, from: string, observations: Observations): Trace {
  const request = { url, method: "GET", headers: {}, from };
  const prediction = predict(snapshot, request, followEvidence(snapshot, observations), userspace);
  return compare(prediction, observations);
}

const sourcesOf = ({ steps }: Trace): string[] =>
  steps.flatMap(({ evidence }) => evidence.checks.map(({ source }) => source));

test("the example's request agrees with the records of the nodes that made its connections", () => {
  const proxied = healthy.conntrack.filter(({ node }) => node === "node-a");
  const trace = traceOf("https://api.hadywafa.com/", "internet", {
    ...healthy,
    keptBy: "proxy record",
    conntrack: [...proxied, { node: "node-b", entries: [] }, { node: "edge", entries: [] }],
  });
  assert.deepEqual(trace.disagreements, []);
  assert.ok(sourcesOf(trace).includes("proxy record node-a"));
  assert.ok(!sourcesOf(trace).some((source) => source.includes("conntrack")));
  assert.ok(trace.steps.every(({ action }) => action !== "encapsulate"));
});

const direct: Observations = {
  client: { client: { address: "10.244.0.5", port: 50_000 }, response: { status: 200 } },
  keptBy: "proxy record",
  conntrack: [{ node: "node-a", entries: [] }],
  pod: { pod: "api-3", namespace: "default", node: "node-b", address: "10.244.1.5", peer: "10.244.0.5" },
};

test("a connection to a pod itself is not in the proxy's account, and that is right", () => {
  const trace = traceOf("http://10.244.1.5:8080/", "pod/default/api-1", direct);
  assert.deepEqual(trace.disagreements, []);
});

test("a connection to a Service that is not in the account is a disagreement", () => {
  const trace = traceOf("http://10.96.1.1/", "pod/default/api-1", direct);
  assert.ok(
    trace.disagreements.some(({ what, observed }) => what === "DNAT to" && observed.includes("not seen")),
  );
});

test("a connection that the proxy sent elsewhere than predicted is one, too", () => {
  const stray = tracked(["10.244.0.5", 50_000], ["10.96.1.1", 80], ["10.244.9.9", 8080]);
  const trace = traceOf("http://10.96.1.1/", "pod/default/api-1", {
    ...direct,
    conntrack: [{ node: "node-a", entries: [stray] }],
  });
  assert.ok(trace.disagreements.some(({ observed }) => observed === "10.244.9.9:8080"));
});

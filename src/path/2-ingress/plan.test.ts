import assert from "node:assert/strict";
import { test } from "node:test";
import { decide, reachOf, upstreamPort, type Decision } from "./plan.ts";
import { snapshotOf, testPod } from "./testing.ts";

const snapshot = snapshotOf(
  [
    { name: "app", port: 80 },
    { name: "empty", port: 81, ready: false },
  ],
  [
    { host: "app.test", path: "/", backend: "app" },
    { host: "app.test", path: "/empty", backend: "empty" },
    { host: "app.test", path: "/gone", backend: "gone" },
  ],
);

for (const [host, path, expected] of [
  ["app.test", "/", "app.default.svc.cluster.local:80"],
  ["app.test", "/empty/x", "empty.default.svc.cluster.local:81"],
  ["app.test", "/gone", "503"],
  ["other.test", "/", "404"],
] as const) {
  test(`${host}${path} goes to ${expected}`, () => {
    const decision = decide(snapshot, host, path);
    const got =
      decision.kind === "forward" ? `${decision.name}:${decision.servicePort.port}` : String(decision.status);
    assert.equal(got, expected);
  });
}

test("only a Service with an endpoint can be reached", () => {
  assert.equal(reachOf(snapshot, decide(snapshot, "app.test", "/"), testPod), "endpoint");
  assert.equal(reachOf(snapshot, decide(snapshot, "app.test", "/empty"), testPod), "none");
});

test("the Service's port is dialled at its ClusterIP, the pod's own behind a headless Service", () => {
  const decision: Decision = decide(snapshot, "app.test", "/");
  assert.ok(decision.kind === "forward");
  assert.equal(upstreamPort(decision, "127.0.0.1"), 80);
  const endpoint = { address: "10.244.0.9", port: 8080, ready: true, serving: true, terminating: false };
  const headless = {
    ...decision,
    addresses: [],
    servicePort: { ...decision.servicePort, endpoints: [endpoint] },
  };
  assert.equal(upstreamPort(headless, "10.244.0.9"), 8080);
});

test("an empty class says that there are no rules at all", () => {
  const decision = decide(snapshotOf([], []), "app.test", "/");
  assert.ok(decision.kind === "refuse");
  assert.deepEqual([decision.status, decision.reason], [404, "no Ingress of this class has a rule"]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Explanation, Flow, Snapshot } from "#model";
import { explain } from "./explain.ts";
import { snapshotOf, testPod } from "./testing.ts";

const snapshot = snapshotOf(
  [
    { name: "app", port: 80 },
    { name: "v2", port: 8000 },
  ],
  [
    { host: "app.test", path: "/", backend: "app", tlsSecret: "missing-tls" },
    { host: "app.test", path: "/v2", backend: "v2" },
    { host: "app.test", path: "/gone", backend: "gone" },
  ],
);

function ask(
  path: string,
  more: { host?: string; tls?: string; headers?: Record<string, string>; in?: Snapshot } = {},
): Explanation {
  const { host = "app.test", tls, headers = {} } = more;
  const flow: Flow = {
    protocol: "TCP",
    source: { address: "203.0.113.10", port: 40_000 },
    destination: { address: "10.244.0.3", port: tls === undefined ? 80 : 443 },
    ...(tls === undefined ? {} : { tls: { serverName: tls } }),
    http: { method: "GET", host, path, headers },
  };
  return explain(more.in ?? snapshot, { at: "ingress", pod: testPod }, flow);
}

test("a request goes on to the cluster DNS with the Service's name and port, from the ingress pod", () => {
  const { outcome, steps } = ask("/v2/x?y=z");
  assert.ok(outcome.kind === "next");
  const [alternative, ...others] = outcome.alternatives;
  assert.equal(others.length, 0);
  assert.ok(alternative);
  assert.deepEqual(alternative.place, { at: "cluster-dns", pod: testPod });
  assert.equal(alternative.flow.source.address, "10.244.0.3");
  assert.deepEqual(alternative.flow.destination, { name: "v2.default.svc.cluster.local.", port: 8000 });
  assert.equal(alternative.flow.tls, undefined);
  assert.equal(alternative.flow.http?.path, "/v2/x?y=z");
  assert.equal(steps[0]?.to, "v2.default.svc.cluster.local:8000");
  assert.deepEqual(steps[0]?.predicted, [
    "Prefix /v2 -> v2.default.svc.cluster.local:8000 (Ingress default/ingress-1 spec.rules[0].http.paths[0])",
  ]);
});

test("the paths that lost are named with their reasons", () => {
  const [step] = ask("/v2/x").steps;
  const lost = step?.evaluated.filter(({ matched }) => !matched).map(({ what }) => what);
  assert.ok(lost?.some((what) => what.startsWith("Prefix / ")));
  assert.ok(lost?.some((what) => what.startsWith("Prefix /gone ")));
});

test("the backend sees the client's address, and nothing that the client claims about it", () => {
  const headers = {
    "x-real-ip": "1.2.3.4",
    Forwarded: "for=1.2.3.4",
    "x-color": "blue",
    Connection: "x-own",
    "x-own": "1",
    "X-Request-ID": "t-1",
  };
  const { outcome, steps } = ask("/", { headers });
  assert.ok(outcome.kind === "next");
  assert.deepEqual(outcome.alternatives[0]?.flow.http?.headers, {
    "x-color": "blue",
    "X-Forwarded-For": "203.0.113.10",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": "app.test",
    "X-Forwarded-Port": "80",
    "X-Real-IP": "203.0.113.10",
    "X-Request-ID": "t-1",
  });
  const rewrites = steps.at(-1)?.rewrites ?? [];
  for (const line of ["X-Real-IP: 203.0.113.10", "Forwarded removed", "x-own removed", "Connection: close"]) {
    assert.ok(rewrites.includes(line), line);
  }
});

test("without a request id from the client, the new one is not predicted", () => {
  const { outcome } = ask("/");
  assert.ok(outcome.kind === "next");
  assert.equal(outcome.alternatives[0]?.flow.http?.headers["X-Request-ID"], undefined);
});

test("a host that no rule names is rejected with 404", () => {
  const { outcome, assumptions } = ask("/", { host: "other.test" });
  assert.ok(outcome.kind === "rejected");
  assert.equal(outcome.httpStatus, 404);
  assert.equal(
    outcome.reason,
    "no Ingress rule takes host other.test and path /, and there is no default backend",
  );
  assert.ok(outcome.mend);
  assert.deepEqual(assumptions, []);
});

test("a Service that does not exist is rejected with 503, the reason and the mend", () => {
  const { outcome, assumptions } = ask("/gone");
  assert.ok(outcome.kind === "rejected");
  assert.equal(outcome.httpStatus, 503);
  assert.match(outcome.reason, /Service default\/gone does not exist/);
  assert.ok(outcome.mend);
  assert.ok(assumptions.some(({ code }) => code === "DanglingBackend"));
});

test("over TLS the first step says which certificate serves, and why it is the default one", () => {
  const { steps } = ask("/", { tls: "app.test" });
  assert.deepEqual(
    steps.map(({ action }) => action),
    ["terminate TLS", "route"],
  );
  assert.equal(steps[0]?.decision?.chosen, "default certificate");
  assert.match(
    steps[0]?.decision?.reason ?? "",
    /Secret default\/missing-tls cannot be used \(.*does not exist/,
  );
  assert.ok(steps[1]?.rewrites.includes("X-Forwarded-Proto: https"));
});

test("the Host with port, capitals and final dot is the same host", () => {
  assert.equal(ask("/", { host: "APP.test.:80" }).outcome.kind, "next");
});

const annotated = (name: string): Snapshot => ({
  ...snapshot,
  findings: [
    {
      code: "UnknownAnnotation",
      severity: "warning",
      object: { kind: "Ingress", namespace: "default", name },
      message: "x",
      affectsRouting: true,
    },
  ],
});
test("a finding about the Ingress that took the request is an assumption; one about another Ingress is not", () => {
  assert.deepEqual(
    ask("/", { in: annotated("ingress-0") }).assumptions.map(({ code }) => code),
    ["UnknownAnnotation"],
  );
  assert.deepEqual(ask("/", { in: annotated("ingress-1") }).assumptions, []);
});

test("a connection without a request is delivered to the ingress pod", () => {
  const flow: Flow = { protocol: "TCP", source: { address: "203.0.113.10" }, destination: { port: 80 } };
  const { outcome } = explain(snapshot, { at: "ingress", pod: testPod }, flow);
  assert.deepEqual(outcome, { kind: "delivered", pod: testPod });
});

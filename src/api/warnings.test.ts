import assert from "node:assert/strict";
import { test } from "node:test";
import { kindOf } from "#kube";
import { objectWarnings, warningHeaders } from "./warnings.ts";

for (const name of ["DaemonSet", "StatefulSet"]) {
  test(`a new ${name} is said to get no pods; a changed one is not said again`, () => {
    const kind = kindOf("apps/v1", name);
    assert.ok(kind);
    assert.deepEqual(objectWarnings(kind, {}), [`${name} is accepted, not simulated: it gets no pods`]);
    assert.deepEqual(objectWarnings(kind, {}, {}), []);
  });
}

test("a kind that controllers act on has no such warning", () => {
  const kind = kindOf("apps/v1", "Deployment");
  assert.ok(kind);
  assert.deepEqual(objectWarnings(kind, {}), []);
});

test("a headless Service is told what it does not have", () => {
  const kind = kindOf("v1", "Service");
  assert.ok(kind);
  const spec = { clusterIP: "None", externalIPs: ["192.0.2.1"], sessionAffinity: "ClientIP" };
  assert.deepEqual(objectWarnings(kind, { spec }), [
    'spec.externalIPs is ignored when `clusterIP` is "None"',
    "spec.SessionAffinity is ignored for headless services",
  ]);
});

test("warnings share one header, each once, without control characters", () => {
  assert.deepEqual(warningHeaders(["a\nb", "c", "c"]), { warning: '299 - "a b", 299 - "c"' });
  assert.deepEqual(warningHeaders([]), {});
});

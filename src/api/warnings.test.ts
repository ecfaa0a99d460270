import assert from "node:assert/strict";
import { test } from "node:test";
import { kindOf } from "#kube";
import { objectWarnings, warningHeaders } from "./warnings.ts";

test("a new claim is said to get no storage; a changed one is not said again", () => {
  const kind = kindOf("v1", "PersistentVolumeClaim");
  assert.ok(kind);
  const told = ["PersistentVolumeClaim is accepted, not simulated: nothing is bound to it"];
  assert.deepEqual(objectWarnings(kind, {}), told);
  assert.deepEqual(objectWarnings(kind, {}, {}), []);
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

import assert from "node:assert/strict";
import { test } from "node:test";
import { kindOf } from "#kube";
import { objectWarnings, warningHeaders } from "./warnings.ts";

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

import assert from "node:assert/strict";
import { test } from "node:test";
import { exampleSnapshot, exampleIngress, rule } from "../../../test/support/snapshot.ts";
import { healthy, predictExample } from "../../../test/support/trace.ts";
import { compare } from "../compare.ts";
import { followEvidence } from "../evidence.ts";
import { stageTitles } from "../stages.ts";
import type { Observations } from "../types.ts";
import { render } from "./render.ts";

function traceOf(observations?: Observations, snapshot = exampleSnapshot()) {
  const pick = observations === undefined ? undefined : followEvidence(snapshot, observations);
  return compare(predictExample(pick, snapshot), observations);
}

test("the text tells the eight steps in order, with true values", () => {
  const text = render(traceOf(healthy), "text");
  const titles = text.split("\n").filter((line) => /^\d {2}/.test(line));
  assert.deepEqual(
    titles,
    stageTitles.map((title, i) => `${i + 1}  ${title}`),
  );
  const lines = [
    /^GET https:\/\/api\.hadywafa\.com\/api\/v1\/resource$/m,
    /^from internet · 7\.3 ms · request 0123456789abcdef$/m,
    /● default\/api-3 +10\.244\.1\.5:8080 +ready$/m,
    /○ default\/api-1 +10\.244\.0\.5:8080 +ready$/m,
    /observed +✓ DNAT to 10\.244\.1\.5:8080, one of 3 predicted +\(conntrack node-a\)$/m,
    /changes +destination 10\.96\.1\.1:80 → 10\.244\.1\.5:8080$/m,
    /matched +Prefix \/ \(default\/api-ingress spec\.rules\[0\]\.http\.paths\[0\]\): every element is equal$/m,
    /^✓ delivered: HTTP 200 from pod default\/api-3 on node-b$/m,
  ];
  for (const line of lines) assert.match(text, line);
});

test("a disagreement is shouted with both values, at its place and at the end", () => {
  const text = render(traceOf({ ...healthy, pod: { ...healthy.pod, pod: "intruder" } }), "text");
  assert.match(
    text,
    /observed +✗ pod: default\/intruder; predicted default\/api-3 +\(the pod's own account\)$/m,
  );
  assert.match(
    text,
    /^✗ PREDICTED AND OBSERVED DIFFER at 6-pod, pod default\/api-3: pod: predicted default\/api-3, observed default\/intruder/m,
  );
  assert.doesNotMatch(text, /^✓ delivered/m);
});

test("missing evidence has a question mark", () => {
  const text = render(traceOf({ ...healthy, conntrack: [] }), "text");
  assert.match(text, /observed +\? conntrack of node-a was not read$/m);
});

test("an undelivered request ends with the reason and the mend", () => {
  const rules = [rule("api.hadywafa.com", "/", "api-servic", 80)];
  const text = render(
    traceOf(undefined, exampleSnapshot({ ingresses: [exampleIngress({ rules })] })),
    "text",
  );
  assert.match(
    text,
    /^✗ rejected: HTTP 503 Service default\/api-servic does not exist; did you mean api-service\?$/m,
  );
  assert.match(text, /^ {2}mend: write api-service or correct/m);
  assert.match(text, /predicted only; no request was sent/);
  assert.doesNotMatch(text, /^8 /m);
});

test("an unknown end says why and where it would have been", () => {
  const annotations = { "nginx.ingress.kubernetes.io/canary": "true" };
  const rules = [rule("api.hadywafa.com", "/", "api-service", 80)];
  const snapshot = exampleSnapshot({ ingresses: [exampleIngress({ rules }, annotations)] });
  assert.match(
    render(traceOf(healthy, snapshot), "text"),
    /^\? unknown: Ingress default\/api-ingress: .* \(would be pod default\/api-3 on node-b\)$/m,
  );
});

test("wide adds rules, records and all that was considered", () => {
  const rules = {
    rules: [
      { node: "node-a", to: "10.96.1.1:80", lines: ["  ip daddr 10.96.1.1 tcp dport 80 goto svc"] },
      { node: "node-a", to: "10.96.1.10:80", lines: ["ip daddr 10.96.1.10 drop"] },
    ],
  };
  const trace = traceOf({ ...healthy, ...rules });
  const [text, wide] = [render(trace, "text"), render(trace, "wide")];
  assert.match(wide, /record +rules node-a: ip daddr 10\.96\.1\.1 tcp dport 80 goto svc$/m);
  assert.doesNotMatch(wide, /10\.96\.1\.10 drop/);
  assert.match(wide, /object +Ingress default\/api-ingress$/m);
  assert.match(wide, /rule +10\.244\.1\.0\/24 via/m);
  assert.doesNotMatch(text, /^ +(rule|record|object) /m);
});

test("colours come only when told", () => {
  const trace = traceOf(healthy);
  assert.ok(!render(trace, "text").includes("\u001B"));
  assert.ok(render(trace, "text", { colour: true }).includes("\u001B[32m"));
  for (const format of ["json", "mermaid"] as const) {
    assert.ok(!render(trace, format, { colour: true }).includes("\u001B"));
  }
});

test("json is the document", () => {
  const trace = traceOf(healthy);
  const document: unknown = JSON.parse(render(trace, "json"));
  assert.deepEqual(document, JSON.parse(JSON.stringify(trace)));
  assert.ok(typeof document === "object" && document !== null && "kind" in document);
  assert.equal(document.kind, "Trace");
});

test("mermaid draws each component once and the way back", () => {
  const lines = render(traceOf(healthy), "mermaid").split("\n");
  assert.equal(lines[0], "sequenceDiagram");
  const names = lines.filter((line) => line.includes("participant")).map((line) => line.split(" as ")[1]);
  assert.equal(new Set(names).size, names.length);
  assert.equal(names[0], "client");
  assert.ok(lines.some((line) => line.includes("-->>p0: ")));
  for (const line of lines.slice(2))
    assert.match(line, /^ {2}(participant p\d+ as |p\d+-?->>p\d+: |Note over p\d+: )/);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { withLastApplied } from "./last-applied.ts";
import type { KubeObject } from "./types.ts";

const note = "kubectl.kubernetes.io/last-applied-configuration";
const settings = {
  kind: "ConfigMap",
  apiVersion: "v1",
  metadata: { namespace: "default", name: "settings" },
};
const noteOf = (object: KubeObject): string | undefined =>
  withLastApplied(object).metadata?.annotations?.[note];

test("the note is the manifest as kubectl writes it: fields in order, annotations always there, one line", () => {
  assert.equal(
    noteOf(settings),
    '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"annotations":{},"name":"settings","namespace":"default"}}\n',
  );
});

test("characters that HTML minds are escaped as Go escapes them", () => {
  assert.match(
    noteOf({ ...settings, data: { a: "<&>\u2028é" } }) ?? "",
    /"a":"\\u003c\\u0026\\u003e\\u2028é"/,
  );
});

test("fields with numbers for names keep their place among the others", () => {
  assert.match(noteOf({ ...settings, data: { b: "", "10": "", "9": "" } }) ?? "", /"10":"","9":"","b":""/);
});

test("other annotations stay, an older note does not become part of the new one", () => {
  const object = withLastApplied({
    ...settings,
    metadata: { name: "x", annotations: { [note]: "old", other: "1" } },
  });
  assert.equal(object.metadata?.annotations?.["other"], "1");
  assert.match(object.metadata?.annotations?.[note] ?? "", /"annotations":\{"other":"1"\},"name":"x"/);
});

test("an object too large for its note stays as it is", () => {
  const large = { ...settings, data: { a: "x".repeat(256 * 1024) } };
  assert.equal(withLastApplied(large), large);
});

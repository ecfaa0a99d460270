import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "../json.ts";
import { createFindings, kindNamed, stored } from "../testing.ts";
import { quoted } from "./errors.ts";
import { validate } from "./index.ts";
import { findingsText, invalidStatus } from "./status.ts";

const kind = kindNamed("ConfigMap");
const findings = (metadata: JsonObject): string[] =>
  createFindings(kind, { metadata: { name: "c", ...metadata } });
const namePart =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

test("names, labels, annotations, finalizers and owners", () => {
  const owner = { apiVersion: "v1", kind: "ConfigMap", name: "a", uid: "a", controller: true };
  const table: readonly (readonly [JsonObject, string[]])[] = [
    [{}, []],
    [{ name: "a.b" }, []],
    [{ name: "" }, ["metadata.name: Required value: name or generateName is required"]],
    [{ name: "", generateName: "p-" }, []],
    [{ labels: { "bad key": "x" } }, [`metadata.labels: Invalid value: "bad key": ${namePart}`]],
    [
      { annotations: { "/x": "y" } },
      ['metadata.annotations: Invalid value: "/x": prefix part must be non-empty'],
    ],
    [
      { annotations: { x: "y".repeat(262_145) } },
      ["metadata.annotations: Too long: may not be more than 262144 bytes"],
    ],
    [
      { finalizers: ["x", "example.com/ok", "kubernetes"] },
      [
        'metadata.finalizers[0]: Invalid value: "x": name is neither a standard finalizer name nor is it fully qualified',
      ],
    ],
    [
      { ownerReferences: [{ ...owner, uid: "" }] },
      ['metadata.ownerReferences[0].uid: Invalid value: "": must not be empty'],
    ],
    [{ ownerReferences: [owner] }, []],
    [{ generation: -1 }, ["metadata.generation: Invalid value: -1: must be greater than or equal to 0"]],
  ];
  for (const [metadata, expected] of table)
    assert.deepEqual(findings(metadata), expected, JSON.stringify(metadata).slice(0, 80));
  const [two] = findings({ ownerReferences: [owner, { ...owner, name: "b", uid: "b" }] });
  assert.match(
    two ?? "",
    /Only one reference can have Controller set to true. Found "true" in references for ConfigMap\/a and ConfigMap\/b$/,
  );
});

test("an object that is being deleted takes no new finalizers; the cause occurs twice, the message once", () => {
  const old = {
    ...stored(kind, {}),
    metadata: { name: "c", deletionTimestamp: "2026-01-01T00:00:00Z", finalizers: ["a/b"] },
  };
  const next = { ...old, metadata: { ...old.metadata, finalizers: ["a/b", "c/d"] } };
  const errors = validate(kind, next, old);
  const text =
    'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"c/d"}';
  assert.equal(errors.length, 2);
  assert.equal(findingsText(errors), text);
});

test("name and identity may not change", () => {
  const old = { ...stored(kind, {}), metadata: { name: "c", uid: "1" } };
  const errors = validate(kind, { ...old, metadata: { name: "c", uid: "2" } }, old);
  assert.equal(findingsText(errors), 'metadata.uid: Invalid value: "2": field is immutable');
});

test("findings become a Status with their causes", () => {
  const errors = validate(
    kindNamed("Deployment"),
    stored(kindNamed("Deployment"), { metadata: { name: "B_" } }),
  );
  const status = invalidStatus(kindNamed("Deployment"), "B_", errors.slice(1, 3));
  assert.deepEqual(status, {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message:
      'Deployment.apps "B_" is invalid: [spec.selector: Required value, spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`]',
    reason: "Invalid",
    details: {
      name: "B_",
      group: "apps",
      kind: "Deployment",
      causes: [
        { reason: "FieldValueRequired", message: "Required value", field: "spec.selector" },
        {
          reason: "FieldValueInvalid",
          message: "Invalid value: null: `selector` does not match template `labels`",
          field: "spec.template.metadata.labels",
        },
      ],
    },
    code: 422,
  });
});

test("text in messages is escaped as Go does", () => {
  assert.equal(quoted('a"\n\u0000\u0007'), '"a\\"\\n\\x00\\a"');
});

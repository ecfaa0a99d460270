import assert from "node:assert/strict";
import { test } from "node:test";
import { kindByPlural, kindOf, kinds, qualifiedName } from "./kinds.ts";
import { schemaOf } from "./schema/index.ts";

test("kinds are found by apiVersion and kind, and by the plural of the URL", () => {
  const table: readonly (readonly [string, string, string, string, string])[] = [
    ["v1", "Pod", "", "pods", "pods"],
    ["apps/v1", "Deployment", "apps", "deployments", "deployments.apps"],
    [
      "discovery.k8s.io/v1",
      "EndpointSlice",
      "discovery.k8s.io",
      "endpointslices",
      "endpointslices.discovery.k8s.io",
    ],
    ["events.k8s.io/v1", "Event", "events.k8s.io", "events", "events.events.k8s.io"],
  ];
  for (const [apiVersion, kind, group, plural, qualified] of table) {
    const info = kindOf(apiVersion, kind);
    assert.ok(info, kind);
    assert.equal(kindByPlural(group, "v1", plural), info);
    assert.equal(qualifiedName(info), qualified);
  }
  assert.equal(kindOf("v1", "Deployment"), undefined);
  assert.equal(kindByPlural("apps", "v1beta1", "deployments"), undefined);
});

test("every kind has a schema with apiVersion, kind and metadata", () => {
  for (const kind of kinds) {
    const schema = schemaOf(kind.schema);
    assert.ok(schema, kind.schema);
    for (const field of ["apiVersion", "kind", "metadata"]) assert.ok(schema.fields.has(field), kind.schema);
    if (kind.subresources.includes("status")) assert.ok(schema.fields.has("status"), kind.schema);
  }
});

test("short names and the category `all` are those of kubectl", () => {
  const of = (plural: string) => kinds.find((kind) => kind.plural === plural);
  assert.deepEqual(of("services")?.shortNames, ["svc"]);
  assert.deepEqual(of("services")?.categories, ["all"]);
  assert.deepEqual(of("secrets")?.shortNames, []);
  assert.deepEqual(of("deployments")?.subresources, ["scale", "status"]);
  assert.equal(of("nodes")?.namespaced, false);
});

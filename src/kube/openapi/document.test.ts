import assert from "node:assert/strict";
import { test } from "node:test";
import { at, isJsonObject, objectAt, type JsonObject } from "../json.ts";
import { kinds } from "../kinds.ts";
import { openApiDocument } from "./document.ts";

const groups = [...new Map(kinds.map((kind) => [kind.group, kind])).values()];
const core = openApiDocument("", "v1");
const schemas = (document: JsonObject): JsonObject => objectAt(document, "components", "schemas");

test("every reference leads to a schema of the same document", () => {
  const references = (value: unknown): string[] => {
    if (Array.isArray(value)) return value.flatMap(references);
    if (!isJsonObject(value)) return [];
    return Object.entries(value).flatMap(([name, item]) =>
      name === "$ref" && typeof item === "string" ? [item] : references(item),
    );
  };
  for (const { group, version } of groups) {
    const document = openApiDocument(group, version);
    const known = new Set(Object.keys(schemas(document)).map((name) => `#/components/schemas/${name}`));
    for (const reference of references(document)) assert.ok(known.has(reference), `${group}: ${reference}`);
  }
});

test("types carry their kind, merge keys, list types and defaults", () => {
  const service = schemas(core)["io.k8s.api.core.v1.Service"];
  assert.deepEqual(at(service, "x-kubernetes-group-version-kind"), [
    { group: "", version: "v1", kind: "Service" },
  ]);
  const ports = at(schemas(core), "io.k8s.api.core.v1.ServiceSpec", "properties", "ports");
  assert.deepEqual(ports, {
    type: "array",
    items: { allOf: [{ $ref: "#/components/schemas/io.k8s.api.core.v1.ServicePort" }], default: {} },
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["port", "protocol"],
    "x-kubernetes-patch-merge-key": "port",
    "x-kubernetes-patch-strategy": "merge",
  });
  const port = schemas(core)["io.k8s.api.core.v1.ServicePort"];
  assert.deepEqual(at(port, "required"), ["port"]);
  assert.deepEqual(at(port, "properties", "protocol"), {
    type: "string",
    default: "TCP",
    enum: ["SCTP", "TCP", "UDP"],
  });
});

test("the patch operation says what kubectl looks for: kind, fieldValidation and the patch types", () => {
  for (const { group, version, kind, plural, namespaced } of kinds) {
    const root = group === "" ? "/api/v1" : `/apis/${group}/${version}`;
    const path = namespaced ? `${root}/namespaces/{namespace}/${plural}/{name}` : `${root}/${plural}/{name}`;
    const patch = objectAt(openApiDocument(group, version), "paths", path, "patch");
    assert.deepEqual(patch["x-kubernetes-group-version-kind"], { group, version, kind });
    const parameters = (patch["parameters"] ?? []) as JsonObject[];
    assert.ok(
      parameters.some((parameter) => parameter["name"] === "fieldValidation"),
      path,
    );
    assert.ok(
      Object.keys(objectAt(patch, "requestBody", "content")).includes(
        "application/strategic-merge-patch+json",
      ),
    );
  }
});

test("subresources have paths of their own, scale with the kind Scale", () => {
  const apps = openApiDocument("apps", "v1");
  const scale = objectAt(
    apps,
    "paths",
    "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale",
    "patch",
  );
  assert.deepEqual(scale["x-kubernetes-group-version-kind"], {
    group: "autoscaling",
    version: "v1",
    kind: "Scale",
  });
  const paths = Object.keys(objectAt(core, "paths"));
  assert.ok(paths.includes("/api/v1/namespaces/{namespace}/services/{name}/status"));
  assert.ok(paths.includes("/api/v1/nodes/{name}/status"));
  assert.ok(!paths.some((path) => path.includes("configmaps/{name}/status")));
});

test("namespaces cannot be deleted as a collection", () => {
  assert.equal(at(core, "paths", "/api/v1/namespaces", "delete"), undefined);
  assert.notEqual(at(core, "paths", "/api/v1/namespaces/{namespace}/pods", "delete"), undefined);
});

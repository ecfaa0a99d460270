import assert from "node:assert/strict";
import { test } from "node:test";
import { unknownKinds } from "./unknown-kinds.ts";

const shape = (objects: Parameters<typeof unknownKinds>[0]): string[] =>
  unknownKinds(objects).map(({ group, version, plural, namespaced }) =>
    [group, version, plural, namespaced ? "namespaced" : "cluster"].join(" "),
  );

test("known kinds are left alone", () => {
  assert.deepEqual(shape([{ apiVersion: "v1", kind: "Service" }]), []);
});

test("an unknown kind gets the usual English plural, once", () => {
  const route = { apiVersion: "example.com/v1", kind: "Route" };
  assert.deepEqual(shape([route, route]), ["example.com v1 routes namespaced"]);
  assert.deepEqual(shape([{ apiVersion: "a.io/v1", kind: "Policy" }]), ["a.io v1 policies namespaced"]);
  assert.deepEqual(shape([{ apiVersion: "a.io/v1", kind: "Ingress" }]), ["a.io v1 ingresses namespaced"]);
});

test("a CustomResourceDefinition tells plural and scope", () => {
  const definition = {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    spec: { group: "example.com", scope: "Cluster", names: { kind: "Mouse", plural: "mice" } },
  };
  assert.deepEqual(shape([definition, { apiVersion: "example.com/v2", kind: "Mouse" }]), [
    "apiextensions.k8s.io v1 customresourcedefinitions cluster",
    "example.com v2 mice cluster",
  ]);
});

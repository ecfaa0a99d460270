import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "../json.ts";
import { createFindings, kindNamed, updateFindings } from "../testing.ts";

const ingress = kindNamed("Ingress");
const ingressClass = kindNamed("IngressClass");
const backend = { service: { name: "web", port: { number: 80 } } };
const findings = (spec: JsonObject, annotations?: JsonObject): string[] =>
  createFindings(ingress, { metadata: { name: "web", ...(annotations ? { annotations } : {}) }, spec });
const path = (fields: JsonObject): string[] =>
  findings({ rules: [{ http: { paths: [{ path: "/", pathType: "Prefix", backend, ...fields }] } }] });
const host = (text: string): string[] =>
  findings({ rules: [{ host: text }] }).map((line) => line.slice(0, 70));

test("an Ingress needs rules or a default backend", () => {
  assert.deepEqual(findings({}), [
    "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified",
  ]);
  assert.deepEqual(findings({ defaultBackend: backend }), []);
});

test("paths by their type", () => {
  const at = "spec.rules[0].http.paths[0]";
  const table: readonly (readonly [JsonObject, string[]])[] = [
    [{}, []],
    [{ pathType: undefined }, [`${at}.pathType: Required value: pathType must be specified`]],
    [
      { pathType: "X" },
      [
        `${at}.pathType: Unsupported value: "X": supported values: "Exact", "ImplementationSpecific", "Prefix"`,
      ],
    ],
    [{ path: undefined }, [`${at}.path: Invalid value: "": must be an absolute path`]],
    [{ path: "foo" }, [`${at}.path: Invalid value: "foo": must be an absolute path`]],
    [{ path: "/foo/." }, [`${at}.path: Invalid value: "/foo/.": cannot end with '/.'`]],
    [{ path: "/a%2fb" }, [`${at}.path: Invalid value: "/a%2fb": must not contain '%2f'`]],
    [{ path: "/a//b", pathType: "Exact" }, [`${at}.path: Invalid value: "/a//b": must not contain '//'`]],
    [{ path: "/foo bar" }, []],
    [{ path: "/..." }, []],
    [{ path: "/a/../b", pathType: "ImplementationSpecific" }, []],
    [{ path: undefined, pathType: "ImplementationSpecific" }, []],
    [
      { path: "foo", pathType: "ImplementationSpecific" },
      [`${at}.path: Invalid value: "foo": must be an absolute path`],
    ],
  ];
  for (const [fields, expected] of table) assert.deepEqual(path(fields), expected, JSON.stringify(fields));
});

test("backends", () => {
  const at = "spec.rules[0].http.paths[0].backend";
  const service = (name: string, port: JsonObject): JsonObject => ({ backend: { service: { name, port } } });
  const table: readonly (readonly [JsonObject, string[]])[] = [
    [{ backend: {} }, [`${at}: Invalid value: "": resource or service backend is required`]],
    [service("", { number: 80 }), [`${at}.service.name: Required value`]],
    [service("web", {}), [`${at}: Required value: port name or number is required`]],
    [
      service("web", { number: 80, name: "a" }),
      [`${at}: Invalid value: "": cannot set both port name & port number`],
    ],
    [
      service("web", { number: 70000 }),
      [`${at}.service.port.number: Invalid value: 70000: must be between 1 and 65535, inclusive`],
    ],
    [
      service("web", { name: "a_b" }),
      [
        `${at}.service.port.name: Invalid value: "a_b": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)`,
      ],
    ],
    [{ backend: { resource: { kind: "Bucket", name: "b" } } }, []],
    [
      { backend: { ...backend, resource: { kind: "B", name: "b" } } },
      [`${at}: Invalid value: "": cannot set both resource and service backends`],
    ],
  ];
  for (const [fields, expected] of table) assert.deepEqual(path(fields), expected, JSON.stringify(fields));
});

test("hosts are names or begin with a wildcard", () => {
  for (const name of ["example.com", "*.example.com", `${"a".repeat(64)}.com`])
    assert.deepEqual(host(name), []);
  assert.deepEqual(host("192.0.2.1"), [
    'spec.rules[0].host: Invalid value: "192.0.2.1": must be a DNS name, no',
  ]);
  for (const name of ["a.example.com:80", "*", "a.*.com", "*.*.example.com", "A.com"])
    assert.equal(host(name).length, 1, name);
});

test("TLS, class and class annotation", () => {
  assert.equal(
    findings({ defaultBackend: backend, tls: [{ hosts: ["?"], secretName: "?" }], ingressClassName: "?" })
      .length,
    3,
  );
  assert.deepEqual(
    findings({ defaultBackend: backend, ingressClassName: "a" }, { "kubernetes.io/ingress.class": "b" }),
    [
      'annotations.kubernetes.io/ingress.class: Invalid value: "b": must match `ingressClassName` when both are specified',
    ],
  );
});

test("classes", () => {
  const of = (spec: JsonObject): string[] => createFindings(ingressClass, { metadata: { name: "c" }, spec });
  const parameters = { kind: "P", name: "p" };
  const table: readonly (readonly [JsonObject, string[]])[] = [
    [{ controller: "example.com/x" }, []],
    [{}, ["spec.controller: Required value"]],
    [
      { controller: "x" },
      ['spec.controller: Invalid value: "x": must be a domain-prefixed path (such as "acme.io/foo")'],
    ],
    [
      { controller: "example.com/Bad Name!" },
      [
        `spec.controller: Invalid value: "Bad Name!": Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')`,
      ],
    ],
    [{ controller: `a.b/${"a".repeat(250)}` }, ["spec.controller: Too long: may not be more than 250 bytes"]],
    [
      { controller: "a.b/c", parameters: { ...parameters, scope: "Namespace" } },
      ["spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"],
    ],
    [
      { controller: "a.b/c", parameters: { ...parameters, scope: "Foo" } },
      ['spec.parameters.scope: Unsupported value: "Foo": supported values: "Cluster", "Namespace"'],
    ],
    [
      { controller: "a.b/c", parameters: { ...parameters, name: "a/b" } },
      ["spec.parameters.name: Invalid value: \"a/b\": may not contain '/'"],
    ],
  ];
  for (const [spec, expected] of table)
    assert.deepEqual(of(spec), expected, JSON.stringify(spec).slice(0, 80));
  const class1 = { metadata: { name: "c" }, spec: { controller: "a.b/c" } };
  assert.deepEqual(updateFindings(ingressClass, { ...class1, spec: { controller: "a.b/d" } }, class1), [
    'spec.controller: Invalid value: "a.b/d": field is immutable',
  ]);
});

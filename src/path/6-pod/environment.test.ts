import { test } from "node:test";
import assert from "node:assert/strict";
import * as fc from "fast-check";
import type { Container } from "kubernetes-types/core/v1.js";
import { buildEnvironment, expand, serviceVariables } from "./environment.ts";
import type { EnvironmentSources } from "./environment.ts";

const values: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "ConfigMap/settings": { LEVEL: "high", MODE: "slow" },
  "Secret/keys": { token: "t" },
};
const sources: EnvironmentSources = {
  pod: {
    metadata: { name: "p", namespace: "ns", uid: "u", labels: { app: "api" } },
    spec: { containers: [] },
  },
  podIPs: ["10.244.0.2", "fd00:10:244::2"],
  node: { name: "node-a", address: "172.30.0.11", addresses: ["172.30.0.11", "fd00:172:30::11"] },
  lookup: (kind, name) => values[`${kind}/${name}`],
  services: { LEVEL: "from a service" },
  capacity: { cpu: 2000, memory: 1024 },
};

function build(container: Partial<Container>) {
  return buildEnvironment({ name: "app", ...container }, sources);
}

test("Service variables are overridden by envFrom, and that by env", () => {
  const { variables } = build({
    envFrom: [{ configMapRef: { name: "settings" } }, { prefix: "K_", secretRef: { name: "keys" } }],
    env: [{ name: "MODE", value: "fast" }],
  });
  assert.deepEqual(variables, { LEVEL: "high", MODE: "fast", K_token: "t" });
});

test("references expand what was set before, not what comes later", () => {
  const { variables } = build({
    env: [
      { name: "A", value: "1" },
      { name: "B", value: "$(A)-$(C)-$$(A)" },
      { name: "C", value: "3" },
    ],
  });
  assert.equal(variables["B"], "1-$(C)-$(A)");
});

const fields: readonly [path: string, value: string][] = [
  ["metadata.name", "p"],
  ["metadata.namespace", "ns"],
  ["metadata.uid", "u"],
  ["metadata.labels['app']", "api"],
  ["metadata.annotations['none']", ""],
  ["spec.nodeName", "node-a"],
  ["spec.serviceAccountName", "default"],
  ["status.hostIP", "172.30.0.11"],
  ["status.hostIPs", "172.30.0.11,fd00:172:30::11"],
  ["status.podIP", "10.244.0.2"],
  ["status.podIPs", "10.244.0.2,fd00:10:244::2"],
];
for (const [fieldPath, value] of fields) {
  test(`the downward API gives ${fieldPath}`, () => {
    const { variables } = build({ env: [{ name: "X", valueFrom: { fieldRef: { fieldPath } } }] });
    assert.equal(variables["X"], value);
  });
}

const resources: readonly [resource: string, divisor: string, value: string][] = [
  ["limits.cpu", "1", "1"],
  ["limits.cpu", "1m", "250"],
  ["requests.memory", "1Mi", "64"],
  ["limits.memory", "1", "1024"],
  ["requests.cpu", "1", "0"],
];
for (const [resource, divisor, value] of resources) {
  test(`${resource} by ${divisor} is ${value}, rounded up; a limit that is not set is the node's capacity`, () => {
    const { variables } = build({
      resources: { limits: { cpu: "250m" }, requests: { memory: "64Mi" } },
      env: [{ name: "X", valueFrom: { resourceFieldRef: { resource, divisor } } }],
    });
    assert.equal(variables["X"], value);
  });
}

test("what is missing is a problem unless it is optional", () => {
  const ref = { name: "nothing", key: "k" };
  const { problems, variables } = build({
    envFrom: [{ secretRef: { name: "none" } }, { secretRef: { name: "none", optional: true } }],
    env: [
      { name: "A", valueFrom: { configMapKeyRef: ref } },
      { name: "B", valueFrom: { configMapKeyRef: { ...ref, optional: true } } },
      { name: "C", valueFrom: { configMapKeyRef: { name: "settings", key: "no" } } },
    ],
  });
  assert.deepEqual(problems, [
    'secret "none" not found',
    'configmap "nothing" not found',
    "couldn't find key no in ConfigMap settings",
  ]);
  assert.ok(!("B" in variables));
});

test("a Service is announced in the old link style", () => {
  const ports = [
    { name: "http", port: 80, protocol: "TCP" },
    { name: "", port: 53, protocol: "UDP" },
  ];
  const variables = serviceVariables("my-api", ports, ({ port }) => ({ address: "10.96.0.5", port }));
  assert.deepEqual(
    [
      "MY_API_SERVICE_HOST",
      "MY_API_SERVICE_PORT",
      "MY_API_SERVICE_PORT_HTTP",
      "MY_API_PORT",
      "MY_API_PORT_53_UDP_PROTO",
    ].map((name) => variables[name]),
    ["10.96.0.5", "80", "80", "tcp://10.96.0.5:80", "udp"],
  );
});

test("where a port of a Service is reached elsewhere, its variables say where, under the name of the true one", () => {
  const variables = serviceVariables("api", [{ name: "", port: 80, protocol: "TCP" }], () => ({
    address: "127.4.0.5",
    port: 64_592,
  }));
  assert.equal(variables["API_SERVICE_PORT"], "64592");
  assert.equal(variables["API_PORT_80_TCP"], "tcp://127.4.0.5:64592");
});

test("expansion never throws and leaves text without dollars alone", () => {
  fc.assert(fc.property(fc.string(), (text) => text.includes("$") || expand(text, {}) === text));
  fc.assert(fc.property(fc.string(), (text) => typeof expand(`$(${text})`, { A: "x" }) === "string"));
});

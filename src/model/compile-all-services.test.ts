import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import type { KubeObject } from "#kube";
import { compileServices } from "./compile-all-services.ts";
import { indexPods } from "./pod-index.ts";

const names = ["a", "b", "c"] as const;
const noPods = indexPods([]);

function service(name: string, selector = {}): KubeObject {
  const ports = [{ name: "http", port: 80, protocol: "TCP" }];
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace: "default", name },
    spec: { clusterIP: `10.96.0.${name.charCodeAt(0)}`, ports, selector },
  };
}

function slice(of: string, index: number, endpoints: unknown): KubeObject {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: `${of}-${index}`, labels: { "kubernetes.io/service-name": of } },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
    endpoints,
  };
}

const endpoints = fc.oneof(
  fc.array(fc.record({ addresses: fc.constantFrom(["10.244.0.2"], ["10.244.0.3"], ["10.244.1.2"]) })),
  // What no API server accepts: the Service becomes unreadable, and readable again later.
  fc.constant(7),
);
const change = fc.record({ slice: fc.nat(5), endpoints });

test("after any sequence of changes the Services are those of a compilation from nothing", () => {
  const services = names.map((name) => service(name, { app: name }));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
      let slices = names.flatMap((name) => [slice(name, 0, []), slice(name, 1, [])]);
      compileServices(services, slices, noPods);
      for (const { slice: which, endpoints: next } of changes) {
        const of = names[which >> 1] ?? "a";
        slices = slices.map((old, index) => (index === which ? slice(of, which & 1, next) : old));
        const step = compileServices(services, slices, noPods);
        const fresh = compileServices(structuredClone(services), structuredClone(slices), noPods);
        assert.deepEqual(step.services, fresh.services);
        assert.deepEqual(step.findings, fresh.findings);
      }
    }),
  );
});

test("a change of one slice leaves the models of other Services as they are", () => {
  const services = names.map((name) => service(name));
  const slices = names.map((name) => slice(name, 0, []));
  const before = compileServices(services, slices, noPods).services;
  const after = compileServices(
    services,
    slices.with(1, slice("b", 0, [{ addresses: ["10.244.0.2"] }])),
    noPods,
  ).services;
  assert.equal(after.get("default/a"), before.get("default/a"));
  assert.equal(after.get("default/b")?.ports[0]?.endpoints.length, 1);
});

test("a slice that goes to another Service is taken from the first", () => {
  const services = names.map((name) => service(name));
  const one = slice("a", 0, [{ addresses: ["10.244.0.2"] }]);
  compileServices(services, [one], noPods);
  const moved = { ...one, metadata: { name: "a-0", labels: { "kubernetes.io/service-name": "b" } } };
  const { services: after } = compileServices(services, [moved], noPods);
  assert.equal(after.get("default/a")?.ports[0]?.endpoints.length, 0);
  assert.equal(after.get("default/b")?.ports[0]?.endpoints.length, 1);
});

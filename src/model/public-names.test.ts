import assert from "node:assert/strict";
import { test } from "node:test";
import { exampleSnapshot, ingress, rule, service } from "../../test/support/snapshot.ts";

const rules = [
  rule("Foo.com", "/", "api-service", 80),
  rule("*.bar.com", "/", "x", 80),
  rule("", "/", "x", 80),
];
const withAddress = (name: string, ...ips: readonly string[]) => ({
  ...ingress(name, { ingressClassName: "another", rules }),
  status: { loadBalancer: { ingress: ips.map((ip) => ({ ip })) } },
});

test("every host of any Ingress is a public name with all its addresses", () => {
  const ingresses = [
    withAddress("a", "203.0.113.9"),
    withAddress("b", "203.0.113.129", "203.0.113.128"),
    withAddress("c", "203.0.113.9"),
  ];
  const addresses = ["203.0.113.128", "203.0.113.129", "203.0.113.9"];
  assert.deepEqual(
    [...(exampleSnapshot({ ingresses }).publicNames ?? [])],
    [
      ["*.bar.com", addresses],
      ["foo.com", addresses],
    ],
  );
});

test("a host without an address is taken all the same", () => {
  const { publicNames } = exampleSnapshot({ ingresses: [withAddress("a"), ingress("broken", { rules: 7 })] });
  assert.deepEqual(publicNames?.get("foo.com"), []);
});

const announce = (type: string) => {
  const status = { loadBalancer: { ingress: [{ ip: "203.0.113.140" }] } };
  const object = service("s", { app: "api" }, { clusterIP: "10.96.1.2", more: { type }, status });
  const annotations = { "external-dns.alpha.kubernetes.io/hostname": "a.example.com, B.example.com." };
  const services = [{ ...object, metadata: { ...object.metadata, annotations } }];
  return [...(exampleSnapshot({ services, ingresses: [] }).publicNames ?? [])];
};

test("a LoadBalancer Service announces names by external-dns's annotation", () => {
  assert.deepEqual(announce("LoadBalancer"), [
    ["a.example.com", ["203.0.113.140"]],
    ["b.example.com", ["203.0.113.140"]],
  ]);
  assert.deepEqual(announce("ClusterIP"), []);
});

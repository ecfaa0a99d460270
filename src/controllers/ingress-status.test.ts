import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "#kube";
import { compile } from "#model";
import { type Ingress, planIngressStatus } from "./ingress-status.ts";

const address = "203.0.113.128";

function ingress(name: string, ingressClassName: string | undefined, shown: readonly string[] = []): Ingress {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { name, namespace: "shop" },
    spec: {
      ...(ingressClassName === undefined ? {} : { ingressClassName }),
      defaultBackend: { service: { name: "api", port: { number: 80 } } },
    },
    status: { loadBalancer: { ingress: shown.map((ip) => ({ ip })) } },
  };
}

function ingressClass(name: string, controller: string, isDefault = false): KubeObject {
  const annotations = isDefault ? { "ingressclass.kubernetes.io/is-default-class": "true" } : {};
  return { metadata: { name, annotations }, spec: { controller } };
}

const classes = [
  ingressClass("inroad", "inroad.dev/ingress", true),
  ingressClass("nginx", "k8s.io/ingress-nginx"),
];

function outcome(one: Ingress, addresses: readonly string[] = [address]): readonly string[] | "unchanged" {
  const none = { nodes: [], pods: [], services: [], endpointSlices: [], secrets: [], namespaces: [] };
  const snapshot = compile(
    { ...none, ingresses: [one], ingressClasses: classes },
    { domain: "cluster.local" },
  );
  const [change] = planIngressStatus([one], snapshot, addresses);
  return change?.addresses ?? "unchanged";
}

const table: readonly [string, Ingress, readonly string[] | "unchanged"][] = [
  ["our class by name", ingress("web", "inroad"), [address]],
  ["no class, ours is the default", ingress("web", undefined), [address]],
  ["right already", ingress("web", "inroad", [address]), "unchanged"],
  ["an older address", ingress("web", "inroad", ["192.0.2.1"]), [address]],
  ["another class", ingress("web", "nginx", ["192.0.2.1"]), "unchanged"],
  ["ours before, of another class now", ingress("web", "nginx", [address]), []],
  ["a class that does not exist", ingress("web", "nope"), "unchanged"],
];

for (const [what, one, expected] of table) {
  test(`ingress status: ${what}`, () => assert.deepEqual(outcome(one), expected));
}

test("ingress status: without an address nothing is shown any more", () => {
  assert.deepEqual(outcome(ingress("web", "inroad", [address]), []), []);
});

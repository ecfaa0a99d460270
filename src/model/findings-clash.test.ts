import assert from "node:assert/strict";
import { test } from "node:test";
import { exampleObjects, exampleSnapshot, node, pod, service } from "../../test/support/snapshot.ts";
import type { KubeObject } from "#kube";
import type { Finding } from "./types.ts";

const { nodes, pods, services } = exampleObjects();

/** The findings that more objects bring: `CODE object: message`. */
function findingsWith(more: Readonly<Record<string, readonly KubeObject[]>>): readonly string[] {
  const all = { nodes, pods, services, ...more };
  const known = new Set(exampleSnapshot().findings.map(textOf));
  return exampleSnapshot(all)
    .findings.map(textOf)
    .filter((text) => !known.has(text));
}

function textOf({ code, object: { kind, name }, message }: Finding): string {
  return `${code} ${kind} ${name}: ${message}`;
}

const range = (cidr: string): KubeObject => ({
  kind: "ServiceCIDR",
  metadata: { name: "kubernetes" },
  ...{ spec: { cidrs: [cidr] } },
});

test("nodes whose pod networks are the same, or one inside the other, are told", () => {
  const foreign = [
    node("node-c", "172.30.0.13", "10.244.1.0/24"),
    node("node-d", "172.30.0.14", "10.245.0.0/16"),
    node("node-e", "172.30.0.15", "10.245.7.0/24"),
    node("node-f", "172.30.0.16", "10.245.9.0/24"),
  ];
  const where = ": pods there may not be reached";
  assert.deepEqual(findingsWith({ nodes: [...nodes, ...foreign] }), [
    `PodNetworksOverlap Node node-c: pod network 10.244.1.0/24 overlaps 10.244.1.0/24 of node node-b${where}`,
    `PodNetworksOverlap Node node-e: pod network 10.245.7.0/24 overlaps 10.245.0.0/16 of node node-d${where}`,
    `PodNetworksOverlap Node node-f: pod network 10.245.9.0/24 overlaps 10.245.0.0/16 of node node-d${where}`,
  ]);
});

test("two nodes with one address are told", () => {
  const twin = node("node-c", "172.30.0.11", "10.244.7.0/24");
  assert.deepEqual(findingsWith({ nodes: [...nodes, twin] }), [
    "NodeAddressTaken Node node-c: InternalIP 172.30.0.11 is node node-a's, too",
  ]);
});

for (const cidr of ["10.244.0.0/16", "10.244.1.128/25"]) {
  test(`pod networks that overlap the Service range ${cidr} are told`, () => {
    const found = findingsWith({ serviceCIDRs: [range(cidr)] });
    assert.match(found.join(), new RegExp(`PodNetworkInServiceRange Node node-b: .* range ${cidr}`));
  });
}

test("networks side by side are no clash", () => {
  const beside = node("node-c", "172.30.0.13", "10.244.2.0/24");
  assert.deepEqual(findingsWith({ nodes: [...nodes, beside], serviceCIDRs: [range("10.96.0.0/16")] }), []);
});

test("two living pods with one address are told, not one that ends and its successor", () => {
  const [first] = pods;
  assert.ok(first);
  const address = "10.244.0.77";
  const [a, b] = ["a", "b"].map((name) => pod(name, { node: "node-a", address, labels: {} }));
  assert.ok(a && b);
  assert.deepEqual(findingsWith({ pods: [...pods, a, b] }), [
    `PodAddressTaken Pod b: address ${address} is pod default/a's, too: either may answer`,
  ]);
  const ending = { ...a, metadata: { ...a.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } };
  assert.deepEqual(findingsWith({ pods: [...pods, ending, b] }), []);
});

test("of two Services that claim one address and port, or one node port, the first by name has it", () => {
  const claim = (name: string, port: number, more = {}): KubeObject =>
    service(name, { app: "api" }, { clusterIP: "10.96.8.8", port, more });
  const nodePort = (port: number, number: number) => ({
    ...{ type: "NodePort", ports: [{ port, targetPort: 8080, protocol: "TCP", nodePort: number }] },
  });
  const beside = claim("a-beside", 81);
  assert.deepEqual(findingsWith({ services: [...services, claim("z", 80), claim("b", 80), beside] }), [
    "AddressTaken Service z: 10.96.8.8:80/TCP is Service default/b's: connections to it go there",
  ]);
  const [c, d] = [claim("c", 82, nodePort(82, 30_090)), claim("d", 83, nodePort(83, 30_090))];
  assert.deepEqual(findingsWith({ services: [...services, c, d] }), [
    "AddressTaken Service d: node port 30090/TCP is Service default/c's: connections to it go there",
  ]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "#kube";
import { exampleObjects, exampleSnapshot, pod } from "../../test/support/snapshot.ts";

function withSpec(spec: object): KubeObject {
  const object = pod("api-9", { node: "node-a", address: "10.244.0.9" });
  return { ...object, spec: { nodeName: "node-a", containers: [], ...spec } };
}

/** What a pod's spec says about its resolver, and whether that is the usual. */
const specs: readonly (readonly [spec: object, own: true | undefined])[] = [
  [{}, undefined],
  [{ dnsPolicy: "ClusterFirst" }, undefined],
  [{ dnsPolicy: "Default" }, true],
  [{ dnsPolicy: "None", dnsConfig: { nameservers: ["192.0.2.1"] } }, true],
  [{ dnsConfig: { options: [{ name: "ndots", value: "1" }] } }, true],
  [{ hostNetwork: true }, true],
  [{ hostNetwork: true, dnsPolicy: "ClusterFirstWithHostNet" }, undefined],
];

test("a pod's own resolver settings are noted", () => {
  for (const [spec, own] of specs) {
    const { pods } = exampleSnapshot({ pods: [...exampleObjects().pods, withSpec(spec)] });
    assert.equal(pods.get("default/api-9")?.ownResolver, own, JSON.stringify(spec));
  }
});

test("an endpoint knows its topology zone", () => {
  const endpoints = [{ addresses: ["10.244.0.5"], zone: "zone-a" }];
  const slices = exampleObjects().endpointSlices.map((slice) => ({ ...slice, endpoints }));
  const service = exampleSnapshot({ endpointSlices: slices }).services.get("default/api-service");
  assert.deepEqual(
    service?.ports[0]?.endpoints.map(({ zone }) => zone),
    ["zone-a"],
  );
});

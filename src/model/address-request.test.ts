import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "#kube";
import { addressRequest, isFollowed, isForeignClass, overruledNotes } from "./address-request.ts";

const service = (annotations: Record<string, string>, spec: object = {}): KubeObject => ({
  metadata: { name: "web", namespace: "shop", annotations },
  spec,
});

test("a Service without annotations and loadBalancerIP asks for nothing, and so do empty ones", () => {
  assert.deepEqual(addressRequest({ metadata: { name: "web" } }), { addresses: [] });
  const empty = {
    "metallb.io/address-pool": "",
    "metallb.io/loadBalancerIPs": " ",
    "metallb.io/allow-shared-ip": "",
  };
  assert.deepEqual(addressRequest(service(empty, { loadBalancerIP: "" })), { addresses: [] });
});

test("pool, addresses and sharing key are read, each with where it stands", () => {
  const annotations = {
    "metallb.io/address-pool": "large",
    "metallb.universe.tf/loadBalancerIPs": "203.0.113.130, 2001:db8::1",
    "metallb.io/allow-shared-ip": "dns",
  };
  assert.deepEqual(addressRequest(service(annotations, { loadBalancerIP: "203.0.113.130" })), {
    pool: "large",
    addresses: [
      { text: "203.0.113.130", where: "spec.loadBalancerIP" },
      { text: "203.0.113.130", where: "annotation metallb.universe.tf/loadBalancerIPs" },
      { text: "2001:db8::1", where: "annotation metallb.universe.tf/loadBalancerIPs" },
    ],
    sharingKey: "dns",
  });
});

test("the present prefix overrules the former one, which is said where they disagree", () => {
  const both = (value: string) => ({
    "metallb.io/address-pool": "a",
    "metallb.universe.tf/address-pool": value,
  });
  assert.equal(addressRequest(service(both("b"))).pool, "a");
  assert.deepEqual(overruledNotes(service(both("a"))), []);
  assert.deepEqual(
    overruledNotes(service(both("b"))).map(({ code, message, mend }) => [code, message, mend]),
    [
      [
        "AnnotationOverruled",
        "annotation metallb.universe.tf/address-pool is not followed: metallb.io/address-pool says otherwise",
        "remove metallb.universe.tf/address-pool",
      ],
    ],
  );
});

test("followed are three annotations of MetalLB, and what it tells itself asks for nothing", () => {
  const followed = [
    "metallb.io/address-pool",
    "metallb.universe.tf/allow-shared-ip",
    "metallb.io/loadBalancerIPs",
  ];
  for (const key of [...followed, "metallb.io/ip-allocated-from-pool"]) assert.ok(isFollowed(key), key);
  for (const key of [
    "metallb.io/allow-everything",
    "metallb.io/",
    "example.com/address-pool",
    "address-pool",
  ])
    assert.ok(!isFollowed(key), key);
});

test("a Service without a class is ours, one with another class is not", () => {
  assert.deepEqual([undefined, "inroad.dev/load-balancer", "metallb", ""].map(isForeignClass), [
    false,
    false,
    true,
    true,
  ]);
});

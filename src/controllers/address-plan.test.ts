import assert from "node:assert/strict";
import { test } from "node:test";
import { planAddresses } from "./address-plan.ts";
import type { Service } from "./objects.ts";

interface Traits {
  type?: string;
  held?: string;
  wants?: string;
  loadBalancerClass?: string;
  age?: number;
}

function service(
  name: string,
  { type = "LoadBalancer", held, wants, loadBalancerClass, age = 0 }: Traits = {},
): Service {
  return {
    metadata: {
      name,
      namespace: "shop",
      creationTimestamp: `2026-01-01T00:00:${String(30 - age).padStart(2, "0")}Z`,
    },
    spec: {
      type,
      ...(wants === undefined ? {} : { loadBalancerIP: wants }),
      ...(loadBalancerClass === undefined ? {} : { loadBalancerClass }),
    },
    status: { loadBalancer: held === undefined ? {} : { ingress: [{ ip: held, ipMode: "VIP" }] } },
  };
}

const pool = "203.0.113.128/30";

/** `name=address` or `name!reason`, sorted. */
function outcome(services: readonly Service[], from = pool): string[] {
  return planAddresses(services, from)
    .map(({ service: { metadata }, address, problem }) =>
      problem === undefined
        ? `${metadata?.name}=${address ?? "none"}`
        : `${metadata?.name}!${problem.reason}`,
    )
    .toSorted();
}

const table: readonly [string, Service[], string[]][] = [
  [
    "the oldest gets the lowest",
    [service("a"), service("b", { age: 5 })],
    ["a=203.0.113.129", "b=203.0.113.128"],
  ],
  [
    "who has one keeps it",
    [service("a", { held: "203.0.113.130" }), service("b", { age: 5 })],
    ["a=203.0.113.130", "b=203.0.113.128"],
  ],
  [
    "a requested one",
    [service("a", { age: 5 }), service("b", { wants: "203.0.113.128" })],
    ["a=203.0.113.129", "b=203.0.113.128"],
  ],
  [
    "a requested one that is taken",
    [service("a", { held: "203.0.113.128" }), service("b", { wants: "203.0.113.128" })],
    ["a=203.0.113.128", "b!AddressInUse"],
  ],
  ["a requested one outside the pool", [service("a", { wants: "192.0.2.1" })], ["a!AddressNotInPool"]],
  ["a request that is no address", [service("a", { wants: "fd00::1" })], ["a!AddressNotInPool"]],
  [
    "another request than before",
    [service("a", { held: "203.0.113.128", wants: "203.0.113.131" })],
    ["a=203.0.113.131"],
  ],
  ["an address of an older pool is replaced", [service("a", { held: "198.51.100.7" })], ["a=203.0.113.128"]],
  [
    "one address in two Services: the older keeps it",
    [service("a", { held: "203.0.113.128" }), service("b", { held: "203.0.113.128", age: 5 })],
    ["a=203.0.113.129", "b=203.0.113.128"],
  ],
  [
    "another class is left alone",
    [service("a", { loadBalancerClass: "metallb", held: "203.0.113.128" })],
    [],
  ],
  ["our own class", [service("a", { loadBalancerClass: "inroad.dev/load-balancer" })], ["a=203.0.113.128"]],
  [
    "no longer a LoadBalancer: released",
    [service("a", { type: "ClusterIP", held: "203.0.113.128" })],
    ["a=none"],
  ],
  ["what others wrote on other Services stays", [service("a", { type: "ClusterIP", held: "192.0.2.1" })], []],
  [
    "more Services than addresses",
    ["a", "b", "c", "d", "e"].map((name, index) => service(name, { age: 9 - index })),
    ["a=203.0.113.128", "b=203.0.113.129", "c=203.0.113.130", "d=203.0.113.131", "e!AddressPoolExhausted"],
  ],
];

for (const [what, services, expected] of table) {
  test(`addresses: ${what}`, () => assert.deepEqual(outcome(services), expected));
}

test("addresses ending in .0 and .255 are not given out unasked", () => {
  const services = ["a", "b"].map((name) => service(name));
  assert.deepEqual(outcome(services, "192.0.2.254/31"), ["a=192.0.2.254", "b!AddressPoolExhausted"]);
  assert.deepEqual(outcome([service("a", { wants: "192.0.2.255" })], "192.0.2.254/31"), ["a=192.0.2.255"]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { array, assert as check, constantFrom, integer, property } from "fast-check";
import type { Endpoint } from "./endpoints-of.ts";
import type { Node } from "./objects.ts";
import { allocateZones } from "./zone-allocation.ts";
import { zoneShares } from "./zone-shares.ts";

const endpoint = (zone: string | undefined, ready = true): Endpoint => ({
  addresses: ["10.0.0.1"],
  conditions: { ready },
  ...(zone === undefined ? {} : { zone }),
});
const node = (
  zone: string | undefined,
  cpu: string | undefined,
  more: { ready?: boolean; label?: string } = {},
): Node => ({
  metadata: {
    labels: {
      ...(zone === undefined ? {} : { "topology.kubernetes.io/zone": zone }),
      ...(more.label === undefined ? {} : { [more.label]: "" }),
    },
  },
  status: {
    ...(cpu === undefined ? {} : { allocatable: { cpu } }),
    conditions: [{ type: "Ready", status: more.ready === false ? "False" : "True" }],
  },
});
/** `a:2 b:1` */
function counts(zones: Iterable<string>): string {
  const sum = new Map<string, number>();
  for (const zone of zones) sum.set(zone, (sum.get(zone) ?? 0) + 1);
  return [...sum]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([zone, count]) => `${zone}:${count}`)
    .join(" ");
}
const allocated = (zones: readonly string[], shares: Record<string, number>): string => {
  const result = allocateZones(
    zones.map((zone) => endpoint(zone)),
    new Map(Object.entries(shares)),
  );
  return typeof result === "string" ? result : counts(result.values());
};

const tooFewNodes =
  "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes";
const nodesTable: readonly (readonly [string, readonly Node[], Record<string, number> | string])[] = [
  ["in proportion to CPU", [node("a", "2"), node("a", "1000m"), node("b", "1")], { a: 0.75, b: 0.25 }],
  [
    "a node that is not ready does not count",
    [node("a", "1"), node("b", "1"), node("b", "9", { ready: false })],
    { a: 0.5, b: 0.5 },
  ],
  [
    "a control plane does not count",
    [
      node("a", "1"),
      node("b", "1"),
      node(undefined, "9", { label: "node-role.kubernetes.io/control-plane" }),
    ],
    { a: 0.5, b: 0.5 },
  ],
  ["a node without zone", [node("a", "1"), node("b", "1"), node(undefined, "1")], tooFewNodes],
  ["a node without CPU", [node("a", "1"), node("b", undefined)], tooFewNodes],
  ["one zone", [node("a", "1"), node("a", "1")], "Nodes only ready in one zone"],
];
for (const [what, nodes, expected] of nodesTable) {
  test(`shares of zones: ${what}`, () => {
    const shares = zoneShares(nodes);
    assert.deepEqual(typeof shares === "string" ? shares : Object.fromEntries(shares), expected);
  });
}

const half = { a: 0.5, b: 0.5 };
const table: readonly (readonly [string, readonly string[], Record<string, number>, string])[] = [
  ["each in its own zone where that is even", ["a", "a", "b", "b"], half, "a:2 b:2"],
  ["a zone with too many helps out", ["a", "a", "a", "b"], half, "a:2 b:2"],
  ["a zone without any is helped", ["a", "a"], half, "a:1 b:1"],
  ["shares need not be even", ["a", "a", "b", "b", "b", "b"], { a: 2 / 3, b: 1 / 3 }, "a:4 b:2"],
  ["a zone that no node is in gives all", ["c", "c"], half, "a:1 b:1"],
  ["fewer endpoints than zones", ["a"], half, "Insufficient number of endpoints (1 endpoints, 2 zones)"],
  [
    "an endpoint would get more than its share and a fifth",
    ["a", "b", "c"],
    { a: 0.6, b: 0.39, c: 0.01 },
    "Minimum allocation of required endpoints exceeds overload threshold (3 endpoints, 3 zones)",
  ],
  [
    "an endpoint without zone",
    ["a", "b", "b", ""],
    half,
    "One or more endpoints do not have a zone specified",
  ],
];
for (const [what, zones, shares, expected] of table) {
  test(`endpoints for zones: ${what}`, () => assert.equal(allocated(zones, shares), expected));
}

test("endpoints that are not ready are meant for nobody and count for nothing", () => {
  const [dead, ...ready] = [endpoint("a", false), endpoint("a"), endpoint("b")];
  const zones = allocateZones([dead, ...ready], new Map(Object.entries(half)));
  assert.deepEqual(
    zones,
    new Map([
      [ready[0], "a"],
      [ready[1], "b"],
    ]),
  );
});

test("where hints are given, every zone has an endpoint and none is loaded by more than a fifth too much", () => {
  const zone = constantFrom("a", "b", "c");
  const cpus = array(integer({ min: 1, max: 64 }), { minLength: 2, maxLength: 3 });
  check(
    property(array(zone, { minLength: 1, maxLength: 40 }), cpus, (zones, cpu) => {
      const shares = zoneShares(cpu.map((amount, index) => node("abc"[index], String(amount))));
      assert.ok(typeof shares !== "string");
      const result = allocateZones(
        zones.map((one) => endpoint(one)),
        shares,
      );
      if (typeof result === "string") return;
      assert.equal(result.size, zones.length);
      for (const [name, share] of shares) {
        const own: number = [...result.values()].filter((one) => one === name).length;
        assert.ok(
          own > 0 && (share * zones.length) / own <= 1.2 + 1e-9,
          `${name}: ${own} of ${zones.length}`,
        );
      }
    }),
    { numRuns: 500 },
  );
});

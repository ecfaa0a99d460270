import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "../json.ts";
import { createFindings, kindNamed, updateFindings } from "../testing.ts";

const cidrKind = kindNamed("ServiceCIDR");
const range = (...cidrs: string[]): JsonObject => ({ metadata: { name: "more" }, spec: { cidrs } });

test("a ServiceCIDR has one range, or one of each family, in canonical form", () => {
  const table: readonly (readonly [string[], string[]])[] = [
    [["10.97.0.0/16"], []],
    [["fd00:10:97::/112", "10.97.0.0/16"], []],
    [[], ["spec.cidrs: Required value: at least one CIDR required"]],
    [
      ["10.97.0.1/16"],
      ['spec.cidrs[0]: Invalid value: "10.97.0.1/16": must be in canonical form ("10.97.0.0/16")'],
    ],
    [
      ["x"],
      ['spec.cidrs[0]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'],
    ],
    [
      ["10.97.0.0/16", "10.98.0.0/16"],
      [
        'spec.cidrs: Invalid value: {"cidrs":["10.97.0.0/16","10.98.0.0/16"]}: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/96',
      ],
    ],
  ];
  for (const [cidrs, expected] of table) {
    assert.deepEqual(createFindings(cidrKind, range(...cidrs)), expected, cidrs.join());
  }
});

test("the ranges of a ServiceCIDR never change, but a second family may come", () => {
  const change = (...cidrs: string[]) => updateFindings(cidrKind, range(...cidrs), range("10.97.0.0/16"));
  assert.deepEqual(change("10.97.0.0/16", "fd00:10:97::/112"), []);
  assert.deepEqual(change("10.98.0.0/16"), [
    'spec.cidrs[0]: Invalid value: "10.98.0.0/16": field is immutable',
  ]);
  assert.deepEqual(change(), ["spec.cidrs: Invalid value: []: field is immutable"]);
});

test("an IPAddress is named by its address and belongs to something", () => {
  const address = (name: string, parentRef?: JsonObject): JsonObject => ({
    metadata: { name },
    spec: { parentRef },
  });
  const findings = (object: JsonObject) => createFindings(kindNamed("IPAddress"), object);
  const parent = { resource: "services", namespace: "default", name: "web" };
  assert.deepEqual(findings(address("fd00::1", parent)), []);
  assert.deepEqual(findings(address("fd00:0::1", parent)), [
    'metadata.name: Invalid value: "fd00:0::1": must be in canonical form ("fd00::1")',
  ]);
  assert.deepEqual(findings(address("10.96.0.9")), ["spec.parentRef: Required value"]);
  assert.deepEqual(findings(address("10.96.0.9", { name: "a/b" })), [
    "spec.parentRef.resource: Required value",
    "spec.parentRef.name: Invalid value: \"a/b\": may not contain '/'",
  ]);
  const moved = updateFindings(
    kindNamed("IPAddress"),
    address("10.96.0.9", { ...parent, name: "b" }),
    address("10.96.0.9", parent),
  );
  assert.match(moved.join(), /^spec\.parentRef: Invalid value: .*: field is immutable$/);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { isIntact } from "./content.ts";
import { baseScript, noRules, type Rules } from "./rules.ts";

const base = baseScript("IPv4", ["203.0.113.128/25"]);

const rules: Rules = {
  ...noRules,
  chains: new Map([["vip-web", ["first", "second"]]]),
  choose: new Map([["203.0.113.128 . tcp . 80", "goto vip-web"]]),
  vips: new Set(["203.0.113.128"]),
};

const rulesIn = (chain: string, count: number): object[] =>
  Array.from({ length: count }, () => ({ rule: { chain } }));

/** What `nft -j list table` tells of the table, as far as it is looked at. */
const whole: readonly object[] = [
  { metainfo: { version: "1.0.6" } },
  { table: { name: "inroad-lb" } },
  { map: { name: "choose", elem: [[{ concat: ["203.0.113.128", "tcp", 80] }, { goto: "vip-web" }]] } },
  { set: { name: "vips", elem: ["203.0.113.128"] } },
  { set: { name: "gone" } },
  { map: { name: "accepted" } },
  { chain: { name: "refuse" } },
  { chain: { name: "prerouting" } },
  { chain: { name: "here" } },
  { chain: { name: "vip-web" } },
  ...rulesIn("refuse", 2),
  ...rulesIn("prerouting", 7),
  ...rulesIn("here", 1),
  ...rulesIn("vip-web", 2),
];

const listing = (items: readonly object[]): string => JSON.stringify({ nftables: items });

test("a table with all its chains, rules and elements is intact, and things of others in it do not matter", () => {
  assert.ok(isIntact(listing(whole), base, rules));
  assert.ok(isIntact(listing([...whole, { chain: { name: "other" } }]), base, rules));
});

test("whatever is missing, the table is not intact", () => {
  for (const index of whole.keys()) {
    if (index < 2) continue;
    assert.ok(!isIntact(listing(whole.toSpliced(index, 1)), base, rules), JSON.stringify(whole[index]));
  }
});

test("an element or a rule too many is noticed, too", () => {
  const more: Rules = { ...rules, vips: new Set(["203.0.113.128", "203.0.113.129"]) };
  assert.ok(!isIntact(listing(whole), base, more));
  assert.ok(!isIntact(listing([...whole, { rule: { chain: "refuse" } }]), base, rules));
});

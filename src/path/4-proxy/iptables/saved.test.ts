import { test } from "node:test";
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { contract } from "../contract.ts";
import { familyPlan, planProxy } from "../plan.ts";
import { testSnapshot } from "../testing.ts";
import { jumps, rulesFor } from "./rules.ts";
import type { Rules, Table } from "./rules.ts";
import { readSaved, rotationIn } from "./saved.ts";

/** As iptables-save -c prints it, beside rules of others. */
function saved(rules: Rules, table: Table, packets = 0): string {
  const { chains, dispatch } = rules[table];
  const chain = table === "nat" ? "INROAD-SERVICES" : "INROAD-UNSERVED";
  const all = new Map([...chains, [chain, [...dispatch]]]);
  return [
    `*${table}`,
    ":PREROUTING ACCEPT [3:180]",
    ":OTHERS - [0:0]",
    ...[...all.keys()].map((name) => `:${name} - [0:0]`),
    ...jumps.filter((jump) => jump.table === table).map(({ chain: at, rest }) => `[1:60] -A ${at} ${rest}`),
    "[0:0] -A OTHERS -s 192.0.2.1/32 -j RETURN",
    ...[...all].flatMap(([name, texts]) => texts.map((text) => `[${packets}:60] -A ${name} ${text}`)),
    "COMMIT",
    "# Completed",
  ].join("\n");
}

test("what was saved is what was written, for every case of the contract", () => {
  for (const { services, options } of contract) {
    const plan = planProxy(testSnapshot(...services), "node-a", new Map(), options);
    for (const family of ["IPv4", "IPv6"] as const) {
      const rules = rulesFor(familyPlan(plan, family));
      const own = readSaved({ nat: saved(rules, "nat"), filter: saved(rules, "filter") });
      assert.deepEqual(own.rules, rules);
      assert.deepEqual(own.hung, jumps);
      assert.deepEqual(own.declared, ["nat", "filter"]);
    }
  }
});

test("the order of a list and its turn are read from rules and counters", () => {
  const endpoints = ["10.244.0.2", "10.244.0.3", "10.244.1.2"].map((address) => ({ address }));
  const plan = planProxy(testSnapshot({ name: "api", clusterIP: "10.96.0.7", endpoints }), "node-a");
  const rules = rulesFor(familyPlan(plan, "IPv4"));
  const own = readSaved({ nat: saved(rules, "nat", 2), filter: saved(rules, "filter") });
  for (const list of plan.lists.values()) {
    // Two packets at each of three turns.
    assert.deepEqual(rotationIn(own, list), { slots: list.slots, next: 0 });
  }
});

test("whatever is printed is read without an error", () => {
  fc.assert(fc.property(fc.string(), fc.string(), (nat, filter) => void readSaved({ nat, filter })));
});

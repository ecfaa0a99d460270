import { test } from "node:test";
import assert from "node:assert/strict";
import { familyPlan, planProxy } from "../plan.ts";
import type { FamilyPlan, ProxyPlan } from "../plan.ts";
import { testSnapshot } from "../testing.ts";
import type { TestService } from "../testing.ts";
import { nothingOwn, renderChange } from "./render.ts";
import { jumps, noRules, rulesFor } from "./rules.ts";
import type { Rules } from "./rules.ts";

const endpoints = ["10.244.0.2", "10.244.0.3", "10.244.1.2", "10.244.1.3"].map((address) => ({ address }));
const api = (...which: readonly number[]): TestService => ({
  name: "api",
  clusterIP: "10.96.0.7",
  endpoints: which.flatMap((i) => endpoints[i] ?? []),
});
const other: TestService = { name: "other", clusterIP: "10.96.0.8", endpoints };

const v4 = (plan: ProxyPlan): FamilyPlan => familyPlan(plan, "IPv4");

function inSequence(before: readonly TestService[], after: readonly TestService[]): [Rules, Rules] {
  const first = planProxy(testSnapshot(...before), "node-c");
  const kept = new Map([...first.lists].map(([key, { slots }]) => [key, { slots, next: 0 }]));
  return [rulesFor(v4(first)), rulesFor(v4(planProxy(testSnapshot(...after), "node-c", kept)))];
}

function changeBetween(before: readonly TestService[], after: readonly TestService[]): string {
  const [rules, next] = inSequence(before, after);
  return renderChange({ rules, hung: jumps, declared: ["nat", "filter"] }, next).join("");
}

test("only own chains are declared, filled and deleted; others only get jumps, and only missing ones", () => {
  const [rules] = inSequence([api(0, 1), other], []);
  const old = new Map([["INROAD-SVC-OLD", ["-j RETURN"]]]);
  const own = {
    ...nothingOwn,
    rules: { ...noRules, nat: { ...noRules.nat, chains: old } },
    hung: jumps.slice(1),
  };
  const lines = renderChange(own, rules).join("").split("\n");
  for (const line of lines) {
    assert.match(
      line,
      /^$|^\*(nat|filter)$|^COMMIT$|^:INROAD-\S+ - \[0:0\]$|^-[AFXD] INROAD-|^-A PREROUTING -j INROAD-SERVICES$/,
    );
  }
  assert.equal(lines.filter((line) => line.startsWith("-A PREROUTING")).length, 1);
  assert.ok(lines.includes("-X INROAD-SVC-OLD"));
});

test("rule i of N takes every (N-i)-th of what comes to it, the last one the rest", () => {
  const [rules] = inSequence([api(0, 1, 2)], []);
  const turns = [...rules.nat.chains].find(([name]) => name.startsWith("INROAD-SVC-"))?.[1] ?? [];
  assert.deepEqual(
    turns.slice(1).map((rule) => rule.replace(/INROAD-SEP-\S+/, "SLOT")),
    [
      "-m statistic --mode nth --every 3 --packet 0 -j SLOT",
      "-m statistic --mode nth --every 2 --packet 0 -j SLOT",
      "-j SLOT",
    ],
  );
});

test("an endpoint replaced by another rewrites the chain of its slot and no other", () => {
  const change = changeBetween([api(0, 1, 2), other], [api(0, 3, 2), other]);
  assert.deepEqual(
    change.match(/^:\S+/gm)?.map((name) => name.slice(0, 12)),
    [":INROAD-SEP-"],
  );
  assert.match(change, /--to-destination 10\.244\.1\.3:8080/);
});

test("a Service that comes or goes leaves the chains of the others alone", () => {
  const [name = ""] = [...inSequence([other], [])[0].nat.chains.keys()].filter((key) =>
    key.startsWith("INROAD-SVC-"),
  );
  assert.ok(!changeBetween([other], [other, api(0)]).includes(name));
  assert.ok(!changeBetween([other, api(0)], [other]).includes(name));
});

test("the last endpoint leaves: no way to it, a refusal instead, its chains deleted", () => {
  const change = changeBetween([api(0)], [api()]);
  assert.match(change, /^-D INROAD-SERVICES -d 10\.96\.0\.7\/32 -p tcp -m tcp --dport 80 /m);
  assert.match(change, /^-A INROAD-UNSERVED -d 10\.96\.0\.7\/32 .* -j REJECT --reject-with tcp-reset$/m);
  assert.match(change, /^-X INROAD-SVC-/m);
});

test("a large load is cut into transactions, and what a rule leads to is there before it", () => {
  const many = Array.from({ length: 600 }, (_, i) => ({
    ...other,
    name: `s${i}`,
    clusterIP: `10.96.${Math.floor(i / 250)}.${(i % 250) + 1}`,
  }));
  const texts = renderChange(nothingOwn, inSequence(many, [])[0]);
  assert.ok(texts.length > 3);
  const declared = new Set<string>();
  for (const text of texts) {
    for (const [, chain = ""] of text.matchAll(/^:(\S+)/gm)) declared.add(chain);
    for (const [, chain = ""] of text.matchAll(/-[jg] (INROAD-\S+)/g)) assert.ok(declared.has(chain), chain);
  }
});

test("a list too large for one transaction: the last turns first, and every step is a whole order", () => {
  const crowd = Array.from({ length: 1000 }, (_, i) => ({ address: `10.245.${i >> 8}.${i & 255}` }));
  const [none, wanted] = inSequence([], [{ ...api(), endpoints: crowd }]);
  const list = [...wanted.nat.chains].find(([name]) => name.startsWith("INROAD-SVC-"));
  assert.ok(list);
  const [name, rules] = list;
  const chain: string[] = [];
  for (const text of renderChange({ rules: none, hung: jumps, declared: ["nat", "filter"] }, wanted)) {
    assert.ok(text.length < 40_000, `${text.length} bytes`);
    for (const line of text.split("\n")) {
      if (line.startsWith(`-A ${name} `)) chain.push(line.slice(`-A ${name} `.length));
      const [, place, rule] = /^-I (?:\S+) (\d+) (.*)$/.exec(line) ?? [];
      if (rule !== undefined) chain.splice(Number(place) - 1, 0, rule);
    }
    const turns = chain.flatMap((rule) => /--every (\d+)/.exec(rule)?.[1] ?? []);
    assert.deepEqual(
      turns.map(Number),
      turns.map((_, i) => turns.length + 1 - i),
    );
  }
  assert.deepEqual(chain, rules);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { policy, worldSnapshot, type WorldChanges } from "../../../../test/support/policy-world.ts";
import { planPolicy } from "./plan.ts";
import type { TableContent } from "./plan.ts";
import { changeScripts, rebuildScripts } from "./script.ts";

const onlyA = { podSelector: { matchLabels: { pod: "a" } } };
const fromB = policy("x/from-b", {
  ...onlyA,
  ingress: [{ from: [{ podSelector: { matchLabels: { pod: "b" } } }] }],
});

function plan(
  policies: Parameters<typeof worldSnapshot>[0],
  changes?: WorldChanges,
): readonly TableContent[] {
  return planPolicy(worldSnapshot(policies, changes), "node-a");
}

function lines(before: readonly TableContent[], after: readonly TableContent[]): string[] {
  return changeScripts(before, after).flatMap((script) => script.split("\n"));
}

test("nothing changes: nothing is said to the kernel", () => {
  assert.deepEqual(changeScripts(plan([fromB]), plan([fromB])), []);
});

test("a changed label of a pod changes elements only", () => {
  const changed = lines(plan([fromB]), plan([fromB], { podLabels: { xc: { pod: "b" } } }));
  assert.deepEqual(changed, [
    "add element ip inroad-policy policy/x/from-b/ingress/0/peers { 10.244.1.12 }",
    "add element ip6 inroad-policy policy/x/from-b/ingress/0/peers { fd00:10:244:1::12 }",
  ]);
});

test("a pod that comes under a policy is an element of each set that is about it", () => {
  const changed = lines(plan([fromB]), plan([fromB], { podLabels: { xb: { pod: "a" } } }));
  assert.ok(changed.length > 0);
  for (const line of changed) assert.match(line, /^(add|delete) element ip6? inroad-policy /);
});

test("a change is one transaction, in which nothing is named before it exists or after it is gone", () => {
  const others = [policy("x/deny", {}), policy("y/deny", { policyTypes: ["Egress"] })];
  const [script, ...more] = changeScripts(plan([fromB]), plan(others));
  assert.deepEqual(more, []);
  const place = (line: string): number => {
    const index = (script ?? "").split("\n").indexOf(line);
    assert.ok(index >= 0, line);
    return index;
  };
  const inTable = "ip inroad-policy";
  const used = place(
    `add rule ${inTable} isolated/x/ingress ip daddr @policy/x/deny/pods jump policy/x/deny/ingress`,
  );
  assert.ok(place(`add chain ${inTable} policy/x/deny/ingress`) < used);
  assert.ok(place(`add set ${inTable} policy/x/deny/pods { type ipv4_addr; }`) < used);
  assert.ok(place(`flush chain ${inTable} isolated/x/ingress`) < used);
  assert.ok(used < place(`delete chain ${inTable} policy/x/from-b/ingress`));
  assert.ok(
    place(`delete chain ${inTable} policy/x/from-b/ingress`) <
      place(`delete set ${inTable} policy/x/from-b/ingress/0/peers`),
  );
});

test("the last policy takes the tables along", () => {
  assert.deepEqual(lines(plan([fromB]), []), [
    "delete table ip inroad-policy",
    "delete table ip6 inroad-policy",
  ]);
});

test("a rebuild begins by taking away what may be there", () => {
  const [script = ""] = rebuildScripts(plan([fromB]), ["IPv4"]);
  assert.match(
    script,
    /^add table ip inroad-policy\ndelete table ip inroad-policy\nadd table ip inroad-policy\n/,
  );
  assert.deepEqual(rebuildScripts([], ["IPv6"]), [
    "add table ip6 inroad-policy\ndelete table ip6 inroad-policy",
  ]);
  assert.deepEqual(rebuildScripts([]), []);
});

test("what is too large for one transaction is cut between chains, and the hooks come last", () => {
  const ports = (first: number) => Array.from({ length: 400 }, (_, i) => ({ port: first + 2 * i }));
  const many = Array.from({ length: 100 }, (_, i) =>
    policy(`x/p${i}`, { ingress: [{ ports: ports(i + 1) }] }),
  );
  const [ipv4] = plan(many);
  assert.ok(ipv4);
  const scripts = changeScripts([], [ipv4]);
  assert.ok(scripts.length > 2);
  for (const script of scripts) assert.ok(script.length < 90_000, `${script.length}`);
  const hooked = scripts.findIndex((script) => script.includes("goto isolated/x/ingress"));
  assert.equal(hooked, scripts.length - 1);
});

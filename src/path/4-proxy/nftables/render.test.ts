import { test } from "node:test";
import assert from "node:assert/strict";
import { familyPlan, planProxy } from "../plan.ts";
import type { ProxyPlan } from "../plan.ts";
import { testSnapshot } from "../testing.ts";
import type { TestService } from "../testing.ts";
import { renderAll, renderChange } from "./render.ts";
import type { Rendered } from "./render.ts";

type TestEndpoint = TestService["endpoints"][number];

/** Elsewhere than on the node of these tests. */
const on = (address: string): TestEndpoint => ({ address, node: "node-b" });
const [e1, e2, e3, e4] = [on("10.244.0.2"), on("10.244.0.3"), on("10.244.1.2"), on("10.244.1.3")];
const api = (...endpoints: readonly TestEndpoint[]): TestService => ({
  name: "api",
  clusterIP: "10.96.0.7",
  endpoints,
});

/** Two plans in sequence; the second keeps the first one's order, at slot 0. */
function inSequence(before: readonly TestService[], after: readonly TestService[]): [ProxyPlan, ProxyPlan] {
  const first = planProxy(testSnapshot(...before), "node-c");
  const kept = new Map([...first.lists].map(([key, { slots }]) => [key, { slots, next: 0 }]));
  return [first, planProxy(testSnapshot(...after), "node-c", kept)];
}

const all = (plan: ProxyPlan): Rendered => renderAll(familyPlan(plan, "IPv4"));
const change = (before: ProxyPlan, after: ProxyPlan): Rendered =>
  renderChange(all(before), familyPlan(after, "IPv4"));

function changeBetween(before: readonly TestService[], after: readonly TestService[]): readonly string[] {
  const [first, second] = inSequence(before, after);
  return change(first, second).scripts;
}

test("every line names the own table and nothing else", () => {
  const [first, second] = inSequence([api(e1, e2)], [api(e1, e2, e3)]);
  const whole = all(first);
  const lines = [...whole.scripts, ...change(first, second).scripts].join("\n").split("\n");
  assert.ok(lines.length > 20);
  for (const line of lines) assert.match(line, /^(add|delete|flush) \w+ ip inroad-proxy( |$)/);
  assert.ok(lines.every((line) => !line.startsWith("list")));
});

test("nothing changes: nothing is said to the kernel", () => {
  assert.deepEqual(changeBetween([api(e1, e2)], [api(e2, e1)]), []);
});

test("an endpoint replaced by another swaps one element and leaves the rule alone", () => {
  const [script = ""] = changeBetween([api(e1, e2, e3)], [api(e1, e4, e3)]);
  assert.match(
    script,
    /^delete element ip inroad-proxy endpoints-tcp \{ \d+ \}\nadd element ip inroad-proxy endpoints-tcp \{ \d+ : 10\.244\.1\.3 \. 8080 \}$/,
  );
});

test("another number of endpoints replaces elements and rule in one transaction", () => {
  const [script = "", ...later] = changeBetween([api(e1, e2)], [api(e1, e2, e3)]);
  for (const left of later) assert.match(left, /^delete element ip inroad-proxy endpoints-tcp /);
  assert.match(script, /flush chain ip inroad-proxy svc\/default\/api\/tcp\/http\n/);
  assert.match(
    script,
    /add rule ip inroad-proxy svc\/default\/api\/tcp\/http .* numgen inc mod 3 offset \d+ map @endpoints-tcp$/,
  );
  assert.equal(script.match(/ : 10\.244/g)?.length, 3);
});

test("fewer endpoints: elements that no rule looks up any more go in a transaction of their own, afterwards", () => {
  const scripts = changeBetween([api(e1, e2, e3)], [api(e1, e2)]);
  assert.equal(scripts.length, 2);
  const [now = "", later = ""] = scripts;
  assert.match(now, /numgen inc mod 2/);
  const kept = [...now.matchAll(/(\d+) : 10\.244/g)].map((match) => match[1]);
  const [, gone = ""] =
    /^delete element ip inroad-proxy endpoints-tcp \{ (\d+(?:, \d+)*) \}$/.exec(later) ?? [];
  assert.notEqual(gone, "", later);
  for (const key of gone.split(", ")) assert.ok(!kept.includes(key), `${key} is in use`);
});

test("the last endpoint leaves: the address is refused and its chain emptied, in one transaction", () => {
  const [first, second] = inSequence([api(e1)], [api()]);
  const { scripts, retired } = change(first, second);
  assert.equal(scripts.length, 1);
  const [script = ""] = scripts;
  assert.match(script, /delete element ip inroad-proxy services \{ 10\.96\.0\.7 \. tcp \. 80 \}/);
  assert.match(
    script,
    /add element ip inroad-proxy no-endpoints \{ 10\.96\.0\.7 \. tcp \. 80 : goto reject-it \}/,
  );
  assert.doesNotMatch(script, /delete chain/);
  assert.deepEqual(retired, ["svc/default/api/tcp/http"]);
});

test("a large load is cut into transactions at Service boundaries", () => {
  const many = Array.from({ length: 1500 }, (_, i) => ({
    name: `service-${i}`,
    clusterIP: `10.96.${Math.floor(i / 250)}.${(i % 250) + 1}`,
    endpoints: [e1, e2, e3],
  }));
  const { scripts } = all(planProxy(testSnapshot(...many), "node-c"));
  assert.ok(scripts.length > 5);
  const chains = new Set<string>();
  for (const script of scripts) {
    assert.ok(script.length < 110_000, `${script.length} bytes`);
    for (const [, chain = ""] of script.matchAll(/^add chain ip inroad-proxy (svc\S+)/gm)) chains.add(chain);
    // Whatever an address leads to is complete by then.
    for (const [, chain = ""] of script.matchAll(/goto (svc\S+?)[ ,]/g)) assert.ok(chains.has(chain), chain);
  }
  assert.equal(chains.size, 1500);
});

test("a list too large for one transaction: endpoints come before the rule that finds them, and go after it", () => {
  const crowd = Array.from({ length: 5000 }, (_, i) => ({ address: `10.245.${i >> 8}.${i & 255}` }));
  const states = [[], [api(...crowd)], [api(...crowd.slice(1000))], [api(...crowd.slice(2000))], []];
  for (const [index, after] of states.slice(1).entries()) {
    const scripts = changeBetween(states[index] ?? [], after);
    for (const script of scripts) assert.ok(script.length < 110_000, `${script.length} bytes`);
    const at = (what: RegExp): number[] => scripts.flatMap((script, i) => (what.test(script) ? [i] : []));
    const [rule = -1] = at(/^flush chain ip inroad-proxy svc/m);
    assert.ok(at(/^add element ip inroad-proxy endpoints-tcp/m).every((i) => i <= rule));
    const gone = scripts.map((script) => script.replaceAll(/^add element .*$/gm, ""));
    const replaced = (i: number): boolean => gone[i] !== scripts[i];
    assert.ok(at(/^delete element ip inroad-proxy endpoints-tcp/m).every((i) => i >= rule || replaced(i)));
  }
});

import { test } from "node:test";
import assert from "node:assert/strict";
import { fairnessMeter } from "./fairness.ts";
import { planProxy } from "./plan.ts";
import type { ProxyPlan } from "./plan.ts";
import { testSnapshot } from "./testing.ts";

const LIST = "default/api:http/TCP";

function planOf(...last: readonly number[]): ProxyPlan {
  const endpoints = last.map((n) => ({ address: `10.244.0.${n}` }));
  return planProxy(testSnapshot({ name: "api", clusterIP: "10.96.0.7", endpoints }), "node-a");
}

const counts = (...each: readonly number[]) => new Map([[LIST, each]]);
const none = (): boolean => false;
const same = (): boolean => true;
const fair = (connections: number, spread: number) => [{ list: LIST, connections, spread }];

test("the spread is the most connections of an endpoint less the fewest", () => {
  const meter = fairnessMeter();
  meter.follow(planOf(2, 3, 4), none);
  assert.deepEqual(meter.read(counts(4, 3, 3)), fair(10, 1));
  assert.deepEqual(meter.read(counts(9, 3, 4)), fair(16, 6));
});

test("another number of endpoints counts from zero", () => {
  const meter = fairnessMeter();
  meter.follow(planOf(2, 3, 4), none);
  meter.follow(planOf(2, 3, 4, 5), none);
  assert.deepEqual(meter.read(counts(1, 1, 1, 0)), fair(3, 1));
});

test("after a swap only what comes after the next reading is compared", () => {
  const meter = fairnessMeter();
  meter.follow(planOf(2, 3), none);
  meter.follow(planOf(2, 4), same);
  assert.deepEqual(meter.read(counts(100, 0)), fair(0, 0));
  assert.deepEqual(meter.read(counts(102, 3)), fair(5, 1));
});

test("rules that were taken over count from the first reading on", () => {
  const meter = fairnessMeter();
  meter.follow(planOf(2, 3), same);
  assert.deepEqual(meter.read(counts(50, 7)), fair(0, 0));
  assert.deepEqual(meter.read(counts(51, 8)), fair(2, 0));
});

test("counters that somebody set back begin anew, and lists without counters are left out", () => {
  const meter = fairnessMeter();
  meter.follow(planOf(2, 3), none);
  meter.read(counts(5, 5));
  meter.follow(planOf(2, 3), same);
  assert.deepEqual(meter.read(new Map()), []);
  assert.deepEqual(meter.read(counts(0, 1)), fair(0, 0));
});

import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { createManualClock, type ProgrammedWatch } from "#client";
import type { Endpoint, ServiceModel, Snapshot } from "#model";
import { exampleSnapshot } from "../../../test/support/snapshot.ts";
import { createRollout } from "./rollout.ts";

const example = exampleSnapshot();
const pod = { namespace: "default", name: "api-1", labels: { app: "api" } };
const state = {
  ready: { ready: true, serving: true, terminating: false },
  ending: { ready: false, serving: true, terminating: true },
  unready: { ready: false, serving: false, terminating: false },
} as const;

/** The example with its Service's endpoint of the pod in this state, or without it. */
function snapshotWith(
  version: string,
  conditions: Partial<Endpoint> | undefined,
  changes: Partial<ServiceModel> = {},
): Snapshot {
  const service = example.services.get("default/api-service");
  assert.ok(service);
  const endpoint = { address: "10.244.0.9", port: 8080, pod, ...state.ready, ...conditions };
  const [port] = service.ports;
  assert.ok(port);
  const ports = [{ ...port, endpoints: conditions === undefined ? [] : [endpoint] }];
  const services = new Map(example.services).set("default/api-service", { ...service, ports, ...changes });
  return { ...example, services, endpointsVersion: version };
}

/** A rollout whose snapshots and programmed data planes the test decides. */
function start(first: Snapshot) {
  const clock = createManualClock();
  const asked: string[] = [];
  const listeners = new Set<(snapshot: Snapshot) => void>();
  let current = first;
  let answer = Promise.resolve<readonly string[]>([]);
  const programmed: ProgrammedWatch = {
    reached: (version, withinMs) => {
      asked.push(`${version} within ${withinMs}`);
      return answer;
    },
    close: () => undefined,
  };
  const source = {
    current: () => current,
    subscribe: (listener: (snapshot: Snapshot) => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
  const settle = async (): Promise<void> => {
    for (let count = 0; count < 5; count += 1) await turn();
  };
  return {
    rollout: createRollout(source, programmed, clock),
    asked,
    pass: async (ms: number) => {
      await settle();
      clock.advance(ms);
      await settle();
    },
    set: (snapshot: Snapshot) => {
      current = snapshot;
      for (const listener of listeners) listener(snapshot);
    },
    behind: (...names: readonly string[]) => {
      answer = Promise.resolve(names);
    },
    idle: () => clock.pending() === 0 && listeners.size === 0,
  };
}

/** What a promise has become, if anything. */
function observe(promise: Promise<readonly string[]>): { readonly result: readonly string[] | undefined } {
  const seen: { result: readonly string[] | undefined } = { result: undefined };
  void promise.then((result) => (seen.result = result));
  return seen;
}

test("a pod leaves when its endpoint is terminating, all data planes know it, and 200 ms have passed", async () => {
  const { rollout, set, pass, asked, idle } = start(snapshotWith("7", state.ready));
  const left = observe(rollout.leave(pod, 5000));
  await pass(100);
  assert.deepEqual(asked, []);
  set(snapshotWith("9", state.ending));
  await pass(199);
  assert.deepEqual([asked, left.result], [["9 within 4900"], undefined]);
  await pass(1);
  assert.deepEqual(left.result, []);
  assert.ok(idle());
});

test("an endpoint that is published whatever its readiness has left when it is terminating", async () => {
  const { rollout, pass } = start(snapshotWith("9", { ...state.ending, ready: true }));
  const left = observe(rollout.leave(pod, 5000));
  await pass(200);
  assert.deepEqual(left.result, []);
});

test("a pod without Services leaves at once", async () => {
  const { rollout, pass } = start(snapshotWith("7", state.ready, { selector: { app: "other" } }));
  const left = observe(rollout.leave(pod, 5000));
  await pass(0);
  assert.deepEqual(left.result, []);
});

test("a pod that was never ready waits for nothing but the data planes", async () => {
  const { rollout, pass, asked } = start(snapshotWith("7", state.unready));
  void rollout.leave(pod, 5000);
  await pass(0);
  assert.deepEqual(asked, ["7 within 5000"]);
});

test("leaving is bounded, and says who did not know", async () => {
  const { rollout, pass, behind, idle } = start(snapshotWith("9", state.ending));
  behind("inroad-system/proxy-node-b");
  const left = observe(rollout.leave(pod, 5000));
  await pass(200);
  assert.deepEqual(left.result, ["inroad-system/proxy-node-b"]);
  assert.ok(idle());
});

test("EndpointSlices that are never written do not hold a pod for ever", async () => {
  const { rollout, pass, idle } = start(snapshotWith("7", state.ready));
  const left = observe(rollout.leave(pod, 5000));
  await pass(5000);
  assert.deepEqual(left.result, ["the EndpointSlices of its Services"]);
  assert.ok(idle());
});

test("without time nothing is waited for", async () => {
  const { rollout, pass } = start(snapshotWith("7", state.ready));
  const left = observe(rollout.leave(pod, 0));
  await pass(0);
  assert.ok(left.result !== undefined);
});

test("a pod has arrived when every Service that it has a port of offers it, and the data planes know", async () => {
  const { rollout, set, pass, asked } = start(snapshotWith("7", undefined));
  const arrived = observe(rollout.arrive(pod, new AbortController().signal));
  await pass(50);
  assert.deepEqual(asked, []);
  set(snapshotWith("9", state.ready));
  await pass(0);
  assert.deepEqual([asked, arrived.result], [["9 within 9950"], []]);
});

test("a Service with a named port that the pod lacks is not waited for", async () => {
  const nameless = snapshotWith("7", undefined);
  const service = nameless.services.get("default/api-service");
  const ports = (service?.ports ?? []).map((port) => ({ ...port, targetPort: "metrics" }));
  const { rollout, pass } = start(snapshotWith("7", undefined, { ports }));
  const arrived = observe(rollout.arrive(pod, new AbortController().signal));
  await pass(0);
  assert.deepEqual(arrived.result, []);
});

test("an arrival that is for nothing ends at the signal", async () => {
  const { rollout, pass, idle } = start(snapshotWith("7", undefined));
  const ending = new AbortController();
  const arrived = observe(rollout.arrive(pod, ending.signal));
  ending.abort();
  await pass(0);
  assert.ok(arrived.result !== undefined && idle());
});

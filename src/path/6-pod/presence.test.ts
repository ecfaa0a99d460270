import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import type { KubeObject } from "#kube";
import { createPresence } from "./presence.ts";

const gate = { conditionType: "inroad.dev/Programmed" };

function podWith(gates: readonly object[], more: { deleting?: boolean; open?: string } = {}): KubeObject {
  const conditions = more.open === undefined ? [] : [{ type: more.open, status: "True" }];
  return {
    metadata: { name: "p", namespace: "default", ...(more.deleting ? { deletionTimestamp: "now" } : {}) },
    spec: { containers: [], readinessGates: gates },
    status: { conditions },
  };
}

function start(first: KubeObject) {
  const arrivals: { signal: AbortSignal; done: (missing: readonly string[]) => void }[] = [];
  const told: string[] = [];
  const bounds: number[] = [];
  let object = first;
  const presence = createPresence({
    object: () => object,
    rollout: {
      arrive: (_pod, signal) => new Promise((done) => arrivals.push({ signal, done })),
      leave: (_pod, withinMs) => {
        bounds.push(withinMs);
        return Promise.resolve(["slow"]);
      },
    },
    onProgrammed: () => told.push("programmed"),
    onMissing: (missing) => told.push(`missing ${missing.join()}`),
  });
  const finish = async (index: number, ...missing: readonly string[]): Promise<void> => {
    arrivals[index]?.done(missing);
    await turn();
  };
  return { presence, arrivals, told, bounds, finish, set: (next: KubeObject) => (object = next) };
}

test("the gate opens when the data planes know a pod that is ready", async () => {
  const { presence, told, finish } = start(podWith([gate]));
  presence.update(true);
  presence.update(true);
  assert.equal(presence.programmed(), false);
  await finish(0);
  assert.deepEqual([presence.programmed(), told], [true, ["programmed"]]);
});

test("it shuts when the pod becomes unready, and an arrival meanwhile is forgotten", async () => {
  const { presence, arrivals, finish } = start(podWith([gate]));
  presence.update(true);
  presence.update(false);
  assert.ok(arrivals[0]?.signal.aborted);
  await finish(0);
  assert.equal(presence.programmed(), false);
  presence.update(true);
  await finish(1);
  assert.equal(presence.programmed(), true);
  presence.update(false);
  assert.equal(presence.programmed(), false);
});

test("a wait that ends by its bound opens the gate, and is told", async () => {
  const { presence, told, finish } = start(podWith([gate]));
  presence.update(true);
  await finish(0, "inroad-system/proxy-node-a");
  assert.deepEqual(told, ["missing inroad-system/proxy-node-a", "programmed"]);
});

test("others' gates come first, since no Service offers the pod before", () => {
  const others = [{ conditionType: "x/gate" }, gate];
  const { presence, arrivals, set } = start(podWith(others));
  presence.update(true);
  assert.equal(arrivals.length, 0);
  set(podWith(others, { open: "x/gate" }));
  presence.update(true);
  assert.equal(arrivals.length, 1);
});

test("a pod that ends keeps its gate open: it may be the last that serves", async () => {
  const { presence, set, finish } = start(podWith([gate]));
  presence.update(true);
  await finish(0);
  set(podWith([gate], { deleting: true }));
  presence.update(false);
  assert.equal(presence.programmed(), true);
});

test("a pod without the gate waits for nothing", () => {
  const { presence, arrivals } = start(podWith([]));
  presence.update(true);
  assert.equal(arrivals.length, 0);
});

for (const [graceMs, bound] of [
  [30_000, 5000],
  [2000, 1000],
  [0, 0],
] as const) {
  test(`with ${graceMs} ms of grace a pod leaves within ${bound} ms, all containers together`, async () => {
    const { presence, bounds, told } = start(podWith([gate]));
    await Promise.all([presence.leave(graceMs), presence.leave(graceMs)]);
    assert.deepEqual([bounds, told], [[bound], ["missing slow"]]);
  });
}

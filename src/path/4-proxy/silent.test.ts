import { test } from "node:test";
import type { TestContext } from "node:test";
import assert from "node:assert/strict";
import { silentLog } from "#lib/log";
import { connectionKey, newlyWaiting, watchSilence } from "./silent.ts";
import type { End, Waiting } from "./silent.ts";

const dead: End = { address: "10.244.1.2", port: 8080 };
const other: End = { address: "10.244.1.3", port: 8080 };

function waiting(endpoint: End, sourcePort = 40_000): Waiting {
  const original = { source: "10.244.0.9", sourcePort, destination: "10.96.0.7", destinationPort: 80 };
  return { original, endpoint };
}

test("a connection that waits makes its endpoint suspect, once", () => {
  const one = waiting(dead);
  assert.deepEqual(newlyWaiting([one], new Set()), [dead]);
  assert.deepEqual(newlyWaiting([one], new Set([connectionKey(one)])), []);
  assert.deepEqual(newlyWaiting([one, waiting(dead, 2), waiting(dead, 3)], new Set([connectionKey(one)])), [
    dead,
  ]);
  assert.deepEqual(newlyWaiting([one, waiting(other)], new Set([connectionKey(one)])), [other]);
});

interface World {
  /** How long it takes to answer, milliseconds. */
  distance?: number;
  connections: readonly Waiting[];
  alive: boolean;
  matters: boolean;
  /** Suspected for another reason. */
  suspected?: readonly End[];
}

/** Watches a world; each `onChange` resolves the promise that `changed()` returned. */
function watch(t: TestContext, world: World) {
  let resolve: () => void = () => undefined;
  let asked = 0;
  let answered = 0;
  const silence = watchSilence({
    waiting: () => world.connections,
    answers: async (_, withinMs) => {
      asked += 1;
      const { distance = 0 } = world;
      if (distance > 0) await new Promise((resolve) => setTimeout(resolve, Math.min(distance, withinMs)));
      answered += 1;
      return world.alive && distance < withinMs;
    },
    suspected: () => world.suspected ?? [],
    matters: () => world.matters,
    onChange: () => resolve(),
    log: silentLog,
  });
  t.after(() => silence.close());
  const hold = setInterval(() => undefined, 1000);
  t.after(() => clearInterval(hold));
  return {
    silence,
    asked: () => asked,
    answered: () => answered,
    changed: () => new Promise<void>((done) => (resolve = done)),
  };
}

test("a suspect that does not answer a connection of ours is silent, until it answers one", async (t) => {
  const world = { connections: [waiting(dead)], alive: false, matters: true };
  const { silence, changed } = watch(t, world);
  await changed();
  assert.deepEqual([...silence.silent()], ["10.244.1.2:8080"]);
  world.alive = true;
  await changed();
  assert.deepEqual([...silence.silent()], []);
});

test("a suspect that answers was slow, or refuses that client: it stays", async (t) => {
  const { silence, asked } = watch(t, { connections: [waiting(dead)], alive: true, matters: true });
  while (asked() === 0) await new Promise((resolve) => setTimeout(resolve, 20));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([...silence.silent()], []);
});

test("a silent endpoint that left its Services is forgotten", async (t) => {
  const world = { connections: [waiting(dead)], alive: false, matters: true };
  const { silence, changed } = watch(t, world);
  await changed();
  world.matters = false;
  while (silence.silent().size > 0) await new Promise((resolve) => setTimeout(resolve, 20));
});

test("an endpoint far away is taken for silent once; then it is known that it answers late", async (t) => {
  const world: World = { connections: [waiting(dead)], alive: true, matters: true, distance: 150 };
  const { silence, changed, answered } = watch(t, world);
  await changed();
  assert.equal(silence.silent().size, 1);
  await changed();
  assert.equal(silence.silent().size, 0);
  const before = answered();
  world.connections = [waiting(dead, 2)];
  while (answered() === before) await new Promise((resolve) => setTimeout(resolve, 20));
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(silence.silent().size, 0);
});

test("what is suspected for another reason is probed without waiting for the next look", async (t) => {
  const { silence, changed, asked } = watch(t, {
    connections: [],
    alive: false,
    matters: true,
    suspected: [dead, other],
  });
  silence.hurry();
  assert.equal(asked(), 2);
  await changed();
  assert.deepEqual([...silence.silent()], ["10.244.1.2:8080", "10.244.1.3:8080"]);
});

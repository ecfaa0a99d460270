import { test } from "node:test";
import type { TestContext } from "node:test";
import assert from "node:assert/strict";
import { silentLog } from "#lib/log";
import { suspects, watchSilence } from "./silent.ts";
import type { End, Waiting } from "./silent.ts";

const dead: End = { address: "10.244.1.2", port: 8080 };
const other: End = { address: "10.244.1.3", port: 8080 };

function waiting(endpoint: End, sourcePort = 40_000): Waiting {
  const original = { source: "10.244.0.9", sourcePort, destination: "10.96.0.7", destinationPort: 80 };
  return { original, endpoint };
}

test("a connection that waits long enough makes its endpoint suspect, once", () => {
  const since = new Map<string, number>();
  assert.deepEqual(suspects([waiting(dead)], since, 1000), []);
  assert.deepEqual(suspects([waiting(dead)], since, 1299), []);
  assert.deepEqual(suspects([waiting(dead)], since, 1300), [dead]);
  assert.deepEqual(suspects([waiting(dead)], since, 9000), []);
  assert.deepEqual(suspects([waiting(dead), waiting(dead, 2)], since, 9000), []);
  assert.deepEqual(suspects([waiting(dead), waiting(dead, 2)], since, 9300), [dead]);
});

test("a connection that was answered in time makes nobody suspect", () => {
  const since = new Map<string, number>();
  suspects([waiting(dead), waiting(other, 2)], since, 1000);
  suspects([waiting(other, 2)], since, 1200);
  assert.deepEqual(suspects([waiting(dead), waiting(other, 2)], since, 1300), [other]);
});

interface World {
  connections: readonly Waiting[];
  alive: boolean;
  matters: boolean;
}

/** Watches a world; each `onChange` resolves the promise that `changed()` returned. */
function watch(t: TestContext, world: World) {
  let resolve: () => void = () => undefined;
  let asked = 0;
  const silence = watchSilence({
    waiting: () => world.connections,
    answers: async () => {
      asked += 1;
      return world.alive;
    },
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

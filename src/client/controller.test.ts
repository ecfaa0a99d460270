import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { createManualClock } from "./clock.ts";
import { runController } from "./controller.ts";

test("nothing is reconciled before the informers have synced", async () => {
  const { promise: synced, resolve } = Promise.withResolvers<void>();
  const seen: string[] = [];
  const loop = runController({
    name: "t",
    informers: [{ synced }],
    reconcile: async (key) => void seen.push(key),
  });
  loop.enqueue("a");
  await turn();
  assert.deepEqual(seen, []);
  resolve();
  await turn();
  assert.deepEqual(seen, ["a"]);
  await loop.close();
});

test("one key is never reconciled twice at once, different keys are", async () => {
  const gates = new Map<string, () => void>();
  const log: string[] = [];
  const reconcile = async (key: string): Promise<void> => {
    log.push(`start ${key}`);
    await new Promise<void>((resolve) => gates.set(key, resolve));
    log.push(`end ${key}`);
  };
  const loop = runController({ name: "t", informers: [], reconcile, workers: 2 });
  for (const key of ["a", "b", "c"]) loop.enqueue(key);
  await turn();
  loop.enqueue("a");
  await turn();
  assert.deepEqual(log, ["start a", "start b"]);
  gates.get("a")?.();
  await turn();
  assert.deepEqual(log, ["start a", "start b", "end a", "start c"]);
  gates.get("b")?.();
  await turn();
  assert.deepEqual(log.slice(4), ["end b", "start a"]);
  gates.get("a")?.();
  gates.get("c")?.();
  await loop.close();
});

test("a failure is retried after its back-off, and counted", async () => {
  const clock = createManualClock();
  let left = 2;
  const loop = runController({
    name: "t",
    informers: [],
    clock,
    reconcile: async () => {
      left -= 1;
      if (left >= 0) throw new Error("not yet");
    },
  });
  loop.enqueue("a");
  await turn();
  clock.advance(5);
  await turn();
  clock.advance(10);
  await turn();
  assert.equal(left, -1);
  assert.deepEqual(loop.metrics(), { name: "t", reconciles: 3, errors: 2, adds: 3, retries: 2, depth: 0 });
  await loop.close();
});

test("a key is looked at again after the time its reconciliation asks for", async () => {
  const clock = createManualClock();
  let count = 0;
  const loop = runController({
    name: "t",
    informers: [],
    clock,
    reconcile: async () => (++count === 1 ? 1000 : undefined),
  });
  loop.enqueue("a");
  await turn();
  clock.advance(999);
  await turn();
  assert.equal(count, 1);
  clock.advance(1);
  await turn();
  assert.equal(count, 2);
  await loop.close();
});

test("close waits for the work under way and takes no more", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const seen: string[] = [];
  const reconcile = async (key: string): Promise<void> => {
    await promise;
    seen.push(key);
  };
  const loop = runController({ name: "t", informers: [], reconcile });
  loop.enqueue("a");
  loop.enqueue("b");
  await turn();
  const closed = loop.close();
  resolve();
  await closed;
  await turn();
  assert.deepEqual(seen, ["a"]);
});

import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import type { KubeObject } from "#kube";
import { createClient } from "./client.ts";
import { createManualClock } from "./clock.ts";
import { watchProgrammed } from "./programmed-watch.ts";
import { scriptedTransport } from "./scripted-transport.ts";

function lease(name: string, version: string, leaseDurationSeconds = 4): KubeObject {
  return {
    metadata: {
      namespace: "inroad-system",
      name,
      uid: name,
      annotations: { "inroad.dev/programmed": version },
    },
    spec: { leaseDurationSeconds },
  };
}

/** A watch of these Leases, and how to change them. */
async function start(...leases: readonly KubeObject[]) {
  const transport = scriptedTransport();
  const clock = createManualClock();
  const watch = watchProgrammed(createClient(transport), { clock });
  let version = 1;
  const stamped = (object: KubeObject): KubeObject => ({
    ...object,
    metadata: { ...object.metadata, resourceVersion: String((version += 1)) },
  });
  const list = await transport.next();
  assert.match(list.request.path, /labelSelector=inroad.dev%2Fprograms/);
  list.json(200, { items: leases.map(stamped), metadata: { resourceVersion: "100" } });
  version = 100;
  const stream = (await transport.next()).stream();
  const settle = async (): Promise<void> => {
    for (let count = 0; count < 5; count += 1) await turn();
  };
  const change = async (type: string, object: KubeObject): Promise<void> => {
    stream.send(`${JSON.stringify({ type, object: stamped(object) })}\n`);
    await settle();
  };
  await settle();
  /** Whether it has resolved yet, and with what. */
  const observe = (reached: Promise<readonly string[]>) => {
    let result: readonly string[] | "waiting" = "waiting";
    void reached.then((missing) => (result = missing));
    return async () => {
      await settle();
      return result;
    };
  };
  return { clock, watch, change, observe };
}

test("what all have programmed is reached at once", async () => {
  const { watch } = await start(lease("a", "10"), lease("b", "9"));
  assert.deepEqual(await watch.reached("9", 1000), []);
  watch.close();
});

test("versions are compared as numbers", async () => {
  const { watch } = await start(lease("a", "10"));
  assert.deepEqual(await watch.reached("9", 0), []);
  assert.deepEqual(await watch.reached("100", 0), ["inroad-system/a"]);
  watch.close();
});

test("the slowest component is waited for", async () => {
  const { watch, change, observe } = await start(lease("a", "8"), lease("b", "8"));
  const result = observe(watch.reached("9", 1000));
  await change("MODIFIED", lease("a", "9"));
  assert.equal(await result(), "waiting");
  await change("MODIFIED", lease("b", "12"));
  assert.deepEqual(await result(), []);
  watch.close();
});

test("a component that ended is not waited for", async () => {
  const { watch, change, observe } = await start(lease("a", "8"));
  const result = observe(watch.reached("9", 1000));
  await change("DELETED", lease("a", "8"));
  assert.deepEqual(await result(), []);
  watch.close();
});

test("nor one that has not renewed its Lease for its duration", async () => {
  const { clock, watch, change, observe } = await start(lease("a", "8", 2), lease("b", "8", 2));
  const result = observe(watch.reached("9", 60_000));
  clock.advance(1500);
  await change("MODIFIED", lease("b", "9", 2));
  clock.advance(499);
  assert.equal(await result(), "waiting");
  clock.advance(1);
  assert.deepEqual(await result(), []);
  watch.close();
});

test("the wait is bounded, and names who is behind", async () => {
  const { clock, watch, observe } = await start(lease("a", "8", 3600), lease("b", "9", 3600));
  const result = observe(watch.reached("9", 500));
  clock.advance(499);
  assert.equal(await result(), "waiting");
  clock.advance(1);
  assert.deepEqual(await result(), ["inroad-system/a"]);
  assert.equal(clock.pending(), 0);
  watch.close();
});

test("a signal ends the wait", async () => {
  const { clock, watch, observe } = await start(lease("a", "8", 3600));
  const ending = new AbortController();
  const result = observe(watch.reached("9", 500, ending.signal));
  ending.abort();
  assert.deepEqual(await result(), ["inroad-system/a"]);
  assert.equal(clock.pending(), 0);
  watch.close();
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { createResolveCache, type Resolution } from "./resolve-cache.ts";

function counting(ttl: number, address = "10.96.1.1") {
  const asked: string[] = [];
  const resolve = async (name: string): Promise<Resolution> => {
    asked.push(name);
    return { address, ttl, answer: `${name}. ${ttl} IN A ${address}` };
  };
  return { asked, resolve };
}

test("an answer is kept for its TTL, and never longer than the bound", async () => {
  let now = 0;
  const { asked, resolve } = counting(30);
  const cache = createResolveCache(resolve, () => now, { maxSeconds: 5 });
  await cache.lookup("a", []);
  now = 4_999;
  assert.ok(!(cache.lookup("a", []) instanceof Promise), "answered at once");
  now = 5_000;
  await cache.lookup("a", []);
  assert.deepEqual(asked, ["a", "a"]);
});

test("an answer with TTL 0 is not kept", async () => {
  const { asked, resolve } = counting(0);
  const cache = createResolveCache(resolve, () => 0);
  await cache.lookup("a", []);
  await cache.lookup("a", []);
  assert.equal(asked.length, 2);
});

test("requests that come while a name is being asked share the answer", async () => {
  const { asked, resolve } = counting(30);
  const cache = createResolveCache(resolve, () => 0);
  await Promise.all([cache.lookup("a", []), cache.lookup("a", []), cache.lookup("b", [])]);
  assert.deepEqual(asked, ["a", "b"]);
});

test("an answer that the Service no longer has is asked anew", async () => {
  const { asked, resolve } = counting(30, "10.96.1.1");
  const cache = createResolveCache(resolve, () => 0);
  await cache.lookup("a", ["10.96.1.1"]);
  await cache.lookup("a", ["10.96.2.2"]);
  assert.equal(asked.length, 2);
});

test("a failure is not kept", async () => {
  let fail = true;
  const cache = createResolveCache(
    async (name) => {
      if (fail) throw new Error("no such name");
      return { address: "10.96.1.1", ttl: 30, answer: name };
    },
    () => 0,
  );
  await assert.rejects(async () => cache.lookup("a", []));
  fail = false;
  assert.equal((await cache.lookup("a", [])).address, "10.96.1.1");
});

test("the number of names is bounded: the oldest answer goes", async () => {
  const { asked, resolve } = counting(30);
  const cache = createResolveCache(resolve, () => 0, { maxNames: 2 });
  for (const name of ["a", "b", "c", "b", "a"]) await cache.lookup(name, []);
  assert.deepEqual(asked, ["a", "b", "c", "a"]);
});

test("a forgotten name is asked anew", async () => {
  const { asked, resolve } = counting(30);
  const cache = createResolveCache(resolve, () => 0);
  await cache.lookup("a", []);
  cache.forget("a");
  await cache.lookup("a", []);
  assert.equal(asked.length, 2);
});

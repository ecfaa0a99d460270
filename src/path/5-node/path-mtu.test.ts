import { test } from "node:test";
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { measurePathMtu } from "./path-mtu.ts";

/** A path that carries up to `limit` bytes, and what it was asked. */
function path(limit: number) {
  const asked: number[] = [];
  const crosses = (size: number): Promise<boolean> => {
    asked.push(size);
    return Promise.resolve(size <= limit);
  };
  return { asked, crosses };
}

const limits = { least: 1330, most: 1500 };

test("a path that carries what the devices promise is asked once", async () => {
  const { asked, crosses } = path(1500);
  assert.equal(await measurePathMtu(crosses, limits), 1500);
  assert.deepEqual(asked, [1500]);
});

test("the exact limit of a path is found with few questions", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1330, max: 1500 }), async (limit) => {
      const { asked, crosses } = path(limit);
      return (await measurePathMtu(crosses, limits)) === limit && asked.length <= 10;
    }),
  );
});

test("a path that carries nothing says nothing", async () => {
  assert.equal(await measurePathMtu(path(0).crosses, limits), undefined);
});

test("below the least MTU it stays at that", async () => {
  assert.equal(await measurePathMtu(path(900).crosses, limits), 1330);
});

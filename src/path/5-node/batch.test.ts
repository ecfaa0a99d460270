import { test } from "node:test";
import assert from "node:assert/strict";
import { createBatch } from "./batch.ts";

/** Executes lines against a set of devices: `add X` fails when X is there, `del X` when it is not. */
function fakeKernel(existing: readonly string[] = []) {
  const devices = new Set(existing);
  const runs: (readonly string[])[] = [];
  const execute = (lines: readonly string[]): Promise<void> => {
    runs.push(lines);
    for (const line of lines) {
      const [verb, name = ""] = line.split(" ");
      if ((verb === "add") === devices.has(name)) return Promise.reject(new Error(line));
      if (verb === "add") devices.add(name);
      else devices.delete(name);
    }
    return Promise.resolve();
  };
  return { devices, runs, batch: createBatch(execute) };
}

test("wishes of the same moment become one run", async () => {
  const { batch, runs, devices } = fakeKernel();
  await Promise.all(["a", "b", "c"].map((name) => batch.run([`add ${name}`], [`del ${name}`])));
  assert.deepEqual(runs, [["add a", "add b", "add c"]]);
  assert.deepEqual([...devices], ["a", "b", "c"]);
});

test("one bad wish fails alone, the others are done", async () => {
  const { batch, devices } = fakeKernel(["x"]);
  const results = await Promise.allSettled([
    batch.run(["add a"], ["del a"]),
    batch.run(["add x"], []),
    batch.run(["add b"], ["del b"]),
  ]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  assert.deepEqual([...devices].sort(), ["a", "b", "x"]);
});

test("what is wished during a run is done in the next", async () => {
  const runs: (readonly string[])[] = [];
  const later: Promise<void>[] = [];
  const batch = createBatch((lines) => {
    runs.push(lines);
    if (runs.length === 1) later.push(batch.run(["add b"], []), batch.run(["add c"], []));
    return Promise.resolve();
  });
  await batch.run(["add a"], []);
  await Promise.all(later);
  assert.deepEqual(runs, [["add a"], ["add b", "add c"]]);
});

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { array, assert as check, constantFrom, integer, property, tuple } from "fast-check";
import { clearPorts, createPortTable, plannedPort, portIn, setPort } from "./port-table.ts";

test("a port is where it should be until somebody says otherwise, and again afterwards", () => {
  const table = createPortTable();
  assert.equal(portIn(table, "10.244.0.5", 8080), undefined);
  setPort(table, "10.244.0.5", 8080, 40_000);
  assert.equal(portIn(table, "10.244.0.5", 8080), 40_000);
  assert.equal(plannedPort(table, "10.244.0.5", 40_000), 8080);
  assert.equal(portIn(table, "10.244.0.5", 8081), undefined);
  assert.equal(portIn(table, "10.244.0.6", 8080), undefined);
  setPort(table, "10.244.0.5", 8080, 8080);
  assert.equal(portIn(table, "10.244.0.5", 8080), undefined);
});

test("an address that is gone takes all its ports along", () => {
  const table = createPortTable();
  for (const port of [80, 443]) setPort(table, "203.0.113.128", port, port + 50_000);
  setPort(table, "10.96.0.1", 443, 50_443);
  clearPorts(table, "203.0.113.128");
  assert.equal(portIn(table, "203.0.113.128", 443), undefined);
  assert.equal(portIn(table, "10.96.0.1", 443), 50_443);
});

test("it is a map, whatever is said to it", () => {
  const ends = tuple(
    constantFrom("10.96.0.1", "203.0.113.128", "10.244.255.255"),
    constantFrom(1, 80, 65_535),
  );
  check(
    property(array(tuple(ends, integer({ min: 1, max: 65_535 })), { maxLength: 40 }), (said) => {
      const table = createPortTable();
      const model = new Map<string, number>();
      for (const [[address, port], at] of said) {
        setPort(table, address, port, at);
        if (at === port) model.delete(`${address} ${port}`);
        else model.set(`${address} ${port}`, at);
      }
      for (const [[address, port]] of said)
        assert.equal(portIn(table, address, port), model.get(`${address} ${port}`));
    }),
  );
});

test("a full table loses nothing that is in it", () => {
  const table = createPortTable();
  for (let port = 1; port <= 5000; port += 1) setPort(table, "10.244.0.5", port, 60_000);
  assert.equal(portIn(table, "10.244.0.5", 4096), 60_000);
  assert.equal(portIn(table, "10.244.0.5", 4097), undefined);
});

test("what one thread says, the others know", async () => {
  const table = createPortTable();
  const module = new URL("port-table.ts", import.meta.url).href;
  const script = `import { workerData } from "node:worker_threads";
    const { setPort } = await import(${JSON.stringify(module)});
    setPort(workerData, "10.244.1.2", 80, 40080);`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(script)}`);
  await once(new Worker(url, { workerData: table }), "exit");
  assert.equal(portIn(table, "10.244.1.2", 80), 40_080);
});

import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import type { KubeObject } from "#kube";
import type { Snapshot } from "#model";
import { createClient } from "./client.ts";
import { createManualClock } from "./clock.ts";
import { scriptedTransport } from "./scripted-transport.ts";
import { createSnapshotSource } from "./snapshot-source.ts";

function namespace(name: string, version: number): KubeObject {
  return { metadata: { name, uid: name, resourceVersion: String(version) } };
}

/** A source of namespaces only, and the stream of their watch. */
async function start() {
  const transport = scriptedTransport();
  const clock = createManualClock();
  const source = createSnapshotSource(createClient(transport), {
    domain: "cluster.local",
    only: ["namespaces"],
    clock,
  });
  const counts: number[] = [];
  source.subscribe(({ namespaces }) => counts.push(namespaces.size));
  (await transport.next()).json(200, { items: [namespace("a", 1)], metadata: { resourceVersion: "1" } });
  await source.synced;
  const stream = (await transport.next()).stream();
  let version = 1;
  const add = async (...names: string[]): Promise<void> => {
    for (const name of names) {
      version += 1;
      stream.send(`${JSON.stringify({ type: "ADDED", object: namespace(name, version) })}\n`);
    }
    for (let count = 0; count < 5; count += 1) await turn();
  };
  return { source, clock, counts, add };
}

test("synced comes with the first snapshot of what is listed", async () => {
  const { source, counts } = await start();
  assert.deepEqual([...source.current().namespaces], ["a"]);
  assert.deepEqual(counts, [1]);
  source.close();
});

test("a change after a quiet time is compiled on the next turn, those within 20 ms together", async () => {
  const { source, clock, counts, add } = await start();
  clock.advance(20);
  await add("b");
  assert.deepEqual(counts, [1, 2]);
  await add("c");
  await add("d");
  clock.advance(19);
  assert.deepEqual(counts, [1, 2]);
  clock.advance(1);
  assert.deepEqual(counts, [1, 2, 4]);
  source.close();
});

test("a snapshot names the version of the EndpointSlices that it was made of", async () => {
  const transport = scriptedTransport();
  const source = createSnapshotSource(createClient(transport), {
    domain: "cluster.local",
    only: ["endpointslices"],
  });
  (await transport.next()).json(200, { items: [], metadata: { resourceVersion: "41" } });
  await source.synced;
  assert.equal(source.current().endpointsVersion, "41");
  const stream = (await transport.next()).stream();
  const changed = new Promise<Snapshot>((resolve) => source.subscribe(resolve));
  stream.send(`${JSON.stringify({ type: "ADDED", object: namespace("slice", 43) })}\n`);
  assert.equal((await changed).endpointsVersion, "43");
  source.close();
});

test("a closed source tells nobody and leaves no timer", async () => {
  const { source, clock, counts, add } = await start();
  await add("b");
  source.close();
  assert.equal(clock.pending(), 0);
  await add("c");
  assert.deepEqual(counts, [1]);
});

test("a subscriber that fails does not keep the snapshot from the others", async () => {
  const { source, clock, counts, add } = await start();
  source.subscribe(() => {
    throw new Error("mine");
  });
  const later: number[] = [];
  source.subscribe(({ namespaces }) => later.push(namespaces.size));
  clock.advance(20);
  await add("b");
  assert.deepEqual([counts, later], [[1, 2], [2]]);
  source.close();
});

test("a cluster without ServiceCIDRs is waited for no longer than others", async () => {
  const transport = scriptedTransport();
  const source = createSnapshotSource(createClient(transport), {
    domain: "cluster.local",
    only: ["namespaces", "servicecidrs"],
    clock: createManualClock(),
  });
  const list = { items: [namespace("a", 1)], metadata: { resourceVersion: "1" } };
  for (let count = 0; count < 2; count += 1) {
    const request = await transport.next();
    if (request.request.path.includes("servicecidrs")) request.json(404, {});
    else request.json(200, list);
  }
  await source.synced;
  assert.deepEqual(source.current().serviceCIDRs, []);
  source.close();
});

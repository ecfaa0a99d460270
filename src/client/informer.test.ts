import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import type { KubeObject, Resource } from "#kube";
import { createClient } from "./client.ts";
import { createManualClock } from "./clock.ts";
import { createInformer } from "./informer.ts";
import { scriptedTransport } from "./scripted-transport.ts";

const pods: Resource = { group: "", version: "v1", kind: "Pod", plural: "pods", namespaced: true };

function pod(name: string, version: number): KubeObject {
  return { metadata: { namespace: "default", name, uid: `uid-${name}`, resourceVersion: String(version) } };
}

function list(version: number, ...items: KubeObject[]): unknown {
  return { items, metadata: { resourceVersion: String(version) } };
}

function event(type: string, object: KubeObject): string {
  return `${JSON.stringify({ type, object })}\n`;
}

function start() {
  const transport = scriptedTransport();
  const clock = createManualClock();
  const informer = createInformer(createClient(transport), pods, { clock, random: () => 0 });
  const changes: string[] = [];
  informer.onChange((type, object) => changes.push(`${type} ${object.metadata?.name}`));
  return { transport, clock, informer, changes };
}

function query(path: string): Record<string, string> {
  return Object.fromEntries(new URL(path, "https://x").searchParams);
}

test("an informer lists, then watches from the version of the list", async () => {
  const { transport, informer, changes } = start();
  (await transport.next()).json(200, list(7, pod("a", 3)));
  await informer.synced;
  const watch = await transport.next();
  assert.deepEqual(query(watch.request.path), {
    watch: "true",
    allowWatchBookmarks: "true",
    resourceVersion: "7",
    timeoutSeconds: "300",
  });
  const stream = watch.stream();
  stream.send(event("ADDED", pod("b", 8)) + event("MODIFIED", pod("a", 9)).slice(0, 20));
  stream.send(event("MODIFIED", pod("a", 9)).slice(20) + event("DELETED", pod("b", 10)));
  while (changes.length < 4) await turn();
  assert.deepEqual(changes, ["ADDED a", "ADDED b", "MODIFIED a", "DELETED b"]);
  informer.close();
});

test("a watch that ends goes on from the last bookmark, without a new list", async () => {
  const { transport, informer } = start();
  (await transport.next()).json(200, list(7));
  const stream = (await transport.next()).stream();
  stream.send(event("BOOKMARK", { metadata: { resourceVersion: "42" } }));
  stream.end();
  const again = await transport.next();
  assert.equal(query(again.request.path)["resourceVersion"], "42");
  informer.close();
});

test("when the version is too old, the list is taken anew and deletions are told", async () => {
  const { transport, informer, changes } = start();
  (await transport.next()).json(200, list(7, pod("a", 3), pod("b", 4)));
  const status = { kind: "Status", code: 410, reason: "Expired", message: "too old resource version" };
  (await transport.next()).stream().send(`${JSON.stringify({ type: "ERROR", object: status })}\n`);
  (await transport.next()).json(200, list(20, pod("b", 4), pod("c", 15)));
  const watch = await transport.next();
  assert.equal(query(watch.request.path)["resourceVersion"], "20");
  assert.deepEqual(changes.slice(2), ["DELETED a", "ADDED c"]);
  informer.close();
});

test("a refused watch (410) is answered by a list as well", async () => {
  const { transport, informer } = start();
  (await transport.next()).json(200, list(7));
  (await transport.next()).json(410, { kind: "Status", reason: "Expired", code: 410 });
  assert.equal(query((await transport.next()).request.path)["watch"], undefined);
  informer.close();
});

test("failures are retried with growing pauses", async () => {
  const { transport, clock, informer } = start();
  for (const pause of [200, 400, 800]) {
    (await transport.next()).fail(new Error("connection refused"));
    while (clock.pending() === 0) await turn();
    clock.advance(pause - 1);
    await turn();
    assert.equal(transport.waiting(), 0, `not before ${pause} ms`);
    clock.advance(1);
  }
  (await transport.next()).json(200, list(1));
  await informer.synced;
  informer.close();
});

test("a watch that ends at once without an event is not repeated at once", async () => {
  const { transport, clock, informer } = start();
  (await transport.next()).json(200, list(7));
  (await transport.next()).stream().end();
  while (clock.pending() === 0) await turn();
  assert.equal(transport.waiting(), 0);
  clock.advance(200);
  assert.equal(query((await transport.next()).request.path)["resourceVersion"], "7");
  informer.close();
});

test("close ends the watch", async () => {
  const { transport, informer, changes } = start();
  (await transport.next()).json(200, list(7));
  const watch = await transport.next();
  const stream = watch.stream();
  informer.close();
  assert.equal(watch.request.signal?.aborted, true);
  stream.send(event("ADDED", pod("b", 8)));
  await turn();
  assert.deepEqual(changes, []);
  assert.equal(transport.waiting(), 0);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "#kube";
import { createStore } from "./store.ts";

function object(
  name: string,
  version: number,
  extra: { uid?: string; labels?: Record<string, string> } = {},
): KubeObject {
  const { uid = `uid-${name}`, labels = {} } = extra;
  return { metadata: { namespace: "default", name, uid, resourceVersion: String(version), labels } };
}

function watched() {
  const changes: string[] = [];
  const store = createStore<KubeObject>({ app: ({ metadata }) => [metadata?.labels?.["app"] ?? ""] });
  store.onChange((type, { metadata }) =>
    changes.push(`${type} ${metadata?.name} ${metadata?.uid?.slice(-1)}`),
  );
  return { store, changes };
}

test("a new list deletes what is missing, also what was replaced under the same name", () => {
  const { store, changes } = watched();
  store.replace([object("a", 1), object("b", 2, { uid: "old-1" })], "3");
  changes.length = 0;
  store.replace([object("b", 5, { uid: "new-2" }), object("c", 6)], "7");
  assert.deepEqual(changes, ["DELETED a a", "DELETED b 1", "ADDED b 2", "ADDED c c"]);
});

test("a list that repeats what is known changes nothing", () => {
  const { store, changes } = watched();
  store.replace([object("a", 1)], "3");
  changes.length = 0;
  store.replace([object("a", 1)], "9");
  assert.deepEqual(changes, []);
});

test("the answer to a write counts at once; its watch event changes nothing more", () => {
  const { store, changes } = watched();
  store.replace([], "3");
  store.absorb(object("a", 4));
  store.apply("ADDED", object("a", 4));
  assert.deepEqual(changes, ["ADDED a a"]);
});

test("an answer that comes after the watch has told of the deletion does not bring the object back", () => {
  const { store } = watched();
  store.replace([], "3");
  store.apply("ADDED", object("a", 4));
  store.apply("DELETED", object("a", 5));
  store.absorb(object("a", 4));
  assert.deepEqual(store.list(), []);
});

test("older news of an object are ignored, whatever the number of digits", () => {
  const { store } = watched();
  store.replace([], "3");
  store.absorb(object("a", 10));
  store.apply("MODIFIED", object("a", 9));
  assert.equal(store.get("default", "a")?.metadata?.resourceVersion, "10");
});

test("what a write made survives a list that was taken before it", () => {
  const { store } = watched();
  store.replace([], "3");
  store.absorb(object("a", 8));
  store.replace([], "7");
  assert.equal(store.list().length, 1);
  store.replace([], "9");
  assert.equal(store.list().length, 0);
});

test("what we deleted stays deleted when older events of it come in", () => {
  const { store, changes } = watched();
  store.replace([object("a", 1)], "3");
  store.forget(object("a", 1));
  store.apply("MODIFIED", object("a", 4));
  store.apply("DELETED", object("a", 5));
  assert.deepEqual(changes, ["ADDED a a", "DELETED a a"]);
  store.apply("ADDED", object("a", 6, { uid: "new-2" }));
  assert.equal(store.list().length, 1);
});

test("an index follows changes and deletions", () => {
  const { store } = watched();
  store.replace([object("a", 1, { labels: { app: "x" } }), object("b", 2, { labels: { app: "x" } })], "3");
  assert.equal(store.indexed("app", "x").length, 2);
  store.apply("MODIFIED", object("a", 4, { labels: { app: "y" } }));
  store.apply("DELETED", object("b", 5));
  assert.deepEqual(store.indexed("app", "x"), []);
  assert.equal(store.indexed("app", "y").length, 1);
});

test("a listener that comes late is told of what is there", () => {
  const { store } = watched();
  store.replace([object("a", 1)], "3");
  const late: string[] = [];
  store.onChange((type, { metadata }) => late.push(`${type} ${metadata?.name}`));
  assert.deepEqual(late, ["ADDED a"]);
});

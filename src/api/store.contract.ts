import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { KubeObject } from "#kube";
import { HistoryExpired, Missing, Occupied } from "./store.ts";
import type { Change, Store } from "./store.ts";

const make = (name: string, namespace = "default", data = ""): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace },
  data,
});
const names = (objects: readonly KubeObject[]): string[] =>
  objects.map((object) => `${object.metadata?.namespace}/${object.metadata?.name}`);
const versionOf = (object: KubeObject | undefined): number => Number(object?.metadata?.resourceVersion);
const brief = ({ type, object }: Change): string => `${type} ${object.metadata?.name}`;

/** What every store must hold. `create` makes one that keeps at least the last `history` changes, and not many more. */
export function storeContract(title: string, create: (history: number) => Store): void {
  describe(title, () => {
    it("stamps objects with one rising counter for all resources", () => {
      const store = create(100);
      const first = store.create("configmaps", make("a"));
      const second = store.create("secrets", make("a"));
      assert.ok(versionOf(second) > versionOf(first));
      assert.equal(store.revision(), versionOf(second));
      assert.deepEqual(store.get("configmaps", "default", "a"), first);
    });

    it("hands out objects that cannot be changed", () => {
      const stored = create(100).create("configmaps", { ...make("a"), spec: { list: [{ x: 1 }] } });
      assert.ok(Object.isFrozen(stored));
      assert.throws(
        () => Object.assign((stored as { spec: { list: object[] } }).spec.list[0] ?? {}, { x: 2 }),
        TypeError,
      );
    });

    it("lists by namespace, then name, of all namespaces or one", () => {
      const store = create(100);
      for (const [name, namespace] of [
        ["b", "y"],
        ["a", "y"],
        ["c", "x"],
      ] as const) {
        store.create("configmaps", make(name, namespace));
      }
      assert.deepEqual(names(store.list("configmaps")), ["x/c", "y/a", "y/b"]);
      assert.deepEqual(names(store.list("configmaps", "y")), ["y/a", "y/b"]);
      assert.deepEqual(names(store.list("configmaps", "absent")), []);
      assert.equal(store.count("configmaps"), 3);
    });

    it("refuses a taken name and an update of what is absent", () => {
      const store = create(100);
      store.create("configmaps", make("a"));
      assert.throws(() => store.create("configmaps", make("a")), Occupied);
      assert.throws(() => store.update("configmaps", make("b")), Missing);
      assert.equal(store.remove("configmaps", "default", "b"), undefined);
    });

    it("shows the state at an earlier revision", () => {
      const store = create(100);
      store.create("configmaps", make("a", "default", "old"));
      store.create("configmaps", make("gone"));
      const then = store.revision();
      store.update("configmaps", make("a", "default", "new"));
      store.remove("configmaps", "default", "gone");
      store.create("configmaps", make("later"));
      const before = store.list("configmaps", "default", then);
      assert.deepEqual(names(before), ["default/a", "default/gone"]);
      assert.equal(before[0]?.["data"], "old");
      assert.deepEqual(names(store.list("configmaps")), ["default/a", "default/later"]);
    });

    it("tells watchers of later changes only, of their resource and namespace", () => {
      const store = create(100);
      store.create("configmaps", make("before"));
      const all: string[] = [];
      const one: string[] = [];
      store.watch("configmaps", undefined, store.revision(), (change) => all.push(brief(change)));
      const subscription = store.watch("configmaps", "x", store.revision(), (change) =>
        one.push(brief(change)),
      );
      store.create("configmaps", make("a", "x"));
      store.create("secrets", make("s", "x"));
      store.update("configmaps", make("a", "x", "1"));
      store.create("configmaps", make("b", "y"));
      subscription.close();
      store.remove("configmaps", "x", "a");
      assert.deepEqual(one, ["ADDED a", "MODIFIED a"]);
      assert.deepEqual(all, ["ADDED a", "MODIFIED a", "ADDED b", "DELETED a"]);
    });

    it("replays the changes after a revision before it goes on", () => {
      const store = create(100);
      const { metadata } = store.create("configmaps", make("a"));
      store.update("configmaps", make("a", "default", "1"));
      store.remove("configmaps", "default", "a");
      const seen: Change[] = [];
      store.watch("configmaps", undefined, Number(metadata?.resourceVersion), (change) => seen.push(change));
      store.create("configmaps", make("b"));
      assert.deepEqual(seen.map(brief), ["MODIFIED a", "DELETED a", "ADDED b"]);
      const revisions = seen.map((change) => change.revision);
      assert.deepEqual(
        revisions,
        revisions.toSorted((a, b) => a - b),
      );
      assert.equal(
        seen[1]?.object.metadata?.resourceVersion,
        String(seen[1]?.revision),
        "a removal has its own version",
      );
      assert.equal(seen[0]?.previous?.["data"], "");
    });

    it("says when a revision is older than the history", () => {
      const store = create(10);
      store.create("configmaps", make("a"));
      const old = store.revision();
      for (let i = 0; i < 50; i++) store.update("configmaps", make("a", "default", String(i)));
      assert.throws(() => store.watch("configmaps", undefined, old, () => undefined), HistoryExpired);
      assert.throws(() => store.list("configmaps", undefined, old), HistoryExpired);
      assert.equal(store.list("configmaps", undefined, store.revision() - 5).length, 1);
    });
  });
}

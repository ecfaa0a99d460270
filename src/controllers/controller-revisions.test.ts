import assert from "node:assert/strict";
import { test } from "node:test";
import { planRevisions, type Revision, surplusRevisions, templateOf } from "./controller-revisions.ts";
import { kind, nameOf, type StatefulSet } from "./objects.ts";

const info = kind("apps/v1", "StatefulSet");
const set = (image: string, limit = 1): StatefulSet => ({
  metadata: { name: "db", namespace: "shop", uid: "s1" },
  spec: {
    serviceName: "db",
    selector: {},
    revisionHistoryLimit: limit,
    template: { metadata: { labels: { app: "db" } }, spec: { containers: [{ name: "c", image }] } },
  },
});
const first = planRevisions(info, set("a:1"), []);
const second = planRevisions(info, set("a:2"), [first.update]);

test("a template that is new gets a revision of its own, with the next number", () => {
  assert.deepEqual(
    [first.write, first.update.revision, second.write, second.update.revision],
    ["create", 1, "create", 2],
  );
  assert.notEqual(nameOf(first.update), nameOf(second.update));
  assert.match(nameOf(first.update), /^db-\w+$/);
  assert.deepEqual(templateOf(first.update), set("a:1").spec?.template);
});

test("the present template needs no write; a former one becomes the newest again", () => {
  const both = [first.update, second.update];
  assert.deepEqual(planRevisions(info, set("a:2"), both), { update: second.update, write: undefined });
  const back = planRevisions(info, set("a:1"), both);
  assert.deepEqual(
    [back.write, back.update.revision, nameOf(back.update)],
    ["update", 3, nameOf(first.update)],
  );
});

test("revisions that nobody uses go, the oldest first, down to the limit", () => {
  const third = planRevisions(info, set("a:3"), [first.update, second.update]).update;
  const all: readonly Revision[] = [third, first.update, second.update];
  const names = (limit: number, used: Revision): string[] =>
    surplusRevisions(set("a:3", limit), all, (one) => one === used).map(nameOf);
  assert.deepEqual(names(1, third), [nameOf(first.update)]);
  assert.deepEqual(names(0, third), [nameOf(first.update), nameOf(second.update)]);
  assert.deepEqual(names(2, third), []);
});

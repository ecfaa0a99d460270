import assert from "node:assert/strict";
import { test } from "node:test";
import type { PodModel, Snapshot } from "#model";
import { namesToCome } from "./autopath.ts";
import { cluster } from "./testing.ts";

const client = cluster.pods.get("default/client");
assert.ok(client !== undefined);

const knowing = (changes: Partial<PodModel> = {}): Snapshot => ({
  ...cluster,
  podsByAddress: new Map([["10.244.1.3", { ...client, ...changes }]]),
});
const first = (name: string): string => `${name}.default.svc.cluster.local.`;
const names = (name: string, snapshot = knowing(), hostSearch: readonly string[] = []): readonly string[] =>
  namesToCome(snapshot, name, "10.244.1.3", hostSearch);

test("after the first name of its list a pod would ask for the others, and for the name itself last", () => {
  assert.deepEqual(names(first("WWW.example.com")), [
    "WWW.example.com.svc.cluster.local.",
    "WWW.example.com.cluster.local.",
    "WWW.example.com.",
  ]);
  assert.deepEqual(names(first("api"), knowing(), ["corp.example"]), [
    "api.svc.cluster.local.",
    "api.cluster.local.",
    "api.corp.example.",
    "api.",
  ]);
});

for (const [fact, name, snapshot] of [
  ["a name that is not the first of the list is meant as it is", "api.svc.cluster.local.", knowing()],
  ["so is one of another namespace", "api.shop.svc.cluster.local.", knowing()],
  ["so is the namespace itself", "default.svc.cluster.local.", knowing()],
  ["with five dots the name itself came first", first("a.b.c.d.e.f"), knowing()],
  ["of a client that is no known pod nothing is known", first("api"), cluster],
  ["a pod with resolver settings of its own may have any list", first("api"), knowing({ ownResolver: true })],
] as const) {
  test(fact, () => assert.deepEqual(names(name, snapshot), []));
}

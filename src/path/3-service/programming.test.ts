import assert from "node:assert/strict";
import { test } from "node:test";
import type { ServiceModel, Snapshot } from "#model";
import { programmingSeconds } from "./programming.ts";
import { cluster, service } from "./testing.ts";

const at = (changes: Partial<ServiceModel>): Snapshot => ({
  ...cluster,
  services: new Map([
    ["default/db", service("default/db", { headless: true, selector: { app: "db" }, ...changes })],
  ]),
});
const changed = at({ endpointsChangedAt: 9_000 });

test("a headless Service whose endpoints changed tells how long ago that was", () => {
  assert.deepEqual(programmingSeconds(at({}), changed, 9_250), [0.25]);
  assert.deepEqual(programmingSeconds({ ...cluster, services: new Map() }, changed, 9_250), [0.25]);
  assert.deepEqual(programmingSeconds(at({ endpointsChangedAt: 1 }), changed, 8_000), [0], "clocks differ");
});

test("nothing is told of what was there at the start, or did not change, or has no such time", () => {
  assert.deepEqual(programmingSeconds(undefined, changed, 9_250), []);
  assert.deepEqual(programmingSeconds(changed, changed, 9_250), []);
  assert.deepEqual(programmingSeconds(changed, at({ endpointsChangedAt: 9_000 }), 9_250), []);
  for (const changes of [{ headless: false }, { selector: {} }, {}]) {
    const next = at({ endpointsChangedAt: 9_000, ...changes });
    const expected = Object.keys(changes).length === 0 ? 1 : 0;
    assert.equal(programmingSeconds(at({}), next, 9_250).length, expected, JSON.stringify(changes));
  }
});

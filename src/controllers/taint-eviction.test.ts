import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "./objects.ts";
import { untilEviction } from "./taint-eviction.ts";

const now = Date.parse("2026-01-01T00:01:00Z");
const taint = { key: "down", effect: "NoExecute", timeAdded: "2026-01-01T00:00:50Z" };

function pod(...tolerations: object[]): Pod {
  return { spec: { containers: [], tolerations } };
}

const table: readonly [string, Pod, taints: object[], wait: number | undefined][] = [
  ["no taint", pod(), [], undefined],
  ["a taint that only keeps new pods away", pod(), [{ key: "down", effect: "NoSchedule" }], undefined],
  ["not tolerated: at once", pod(), [taint], 0],
  ["tolerated for ever", pod({ key: "down", operator: "Exists" }), [taint], undefined],
  [
    "tolerated for 15 s since the taint",
    pod({ key: "down", operator: "Exists", tolerationSeconds: 15 }),
    [taint],
    5000,
  ],
  [
    "tolerated for 5 s, which are over",
    pod({ key: "down", operator: "Exists", tolerationSeconds: 5 }),
    [taint],
    0,
  ],
  [
    "the shortest of two tolerations",
    pod({ operator: "Exists" }, { key: "down", operator: "Exists", tolerationSeconds: 12 }),
    [taint],
    2000,
  ],
  [
    "one of two taints is not tolerated",
    pod({ key: "down", operator: "Exists" }),
    [taint, { ...taint, key: "x" }],
    0,
  ],
];

for (const [what, one, taints, wait] of table) {
  test(`eviction: ${what}`, () => {
    assert.equal(untilEviction(one, taints as { key: string; effect: string }[], now), wait);
  });
}

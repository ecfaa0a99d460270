import assert from "node:assert/strict";
import { test } from "node:test";
import { array, assert as check, integer, property, record } from "fast-check";
import { newSetSize, scaleSets, shrinkOldSets, sizeOf } from "./deployment-sizes.ts";
import type { Deployment, ReplicaSet } from "./objects.ts";
import { rollingLimits } from "./rolling-limits.ts";

function deployment(
  replicas: number,
  maxSurge: number | string,
  maxUnavailable: number | string,
): Deployment {
  return { spec: { replicas, strategy: { rollingUpdate: { maxSurge, maxUnavailable } } } } as Deployment;
}

/** A ReplicaSet with a size, how many of its pods are available, and what it was told of the Deployment's size. */
function set(
  name: string,
  replicas: number,
  available = replicas,
  told: { desired?: number; max?: number } = {},
): ReplicaSet {
  const annotations: Record<string, string> = {};
  if (told.desired !== undefined)
    annotations["deployment.kubernetes.io/desired-replicas"] = String(told.desired);
  if (told.max !== undefined) annotations["deployment.kubernetes.io/max-replicas"] = String(told.max);
  const metadata = { name, creationTimestamp: `2026-01-01T00:00:0${name.slice(-1)}Z`, annotations };
  return { metadata, spec: { replicas }, status: { availableReplicas: available } } as unknown as ReplicaSet;
}

const limits: readonly [string, Deployment, { maxSurge: number; maxUnavailable: number }][] = [
  ["4 pods, 25%/25%", deployment(4, "25%", "25%"), { maxSurge: 1, maxUnavailable: 1 }],
  [
    "3 pods, 25%/25%: the surge is rounded up, the rest down",
    deployment(3, "25%", "25%"),
    { maxSurge: 1, maxUnavailable: 0 },
  ],
  ["2 pods, 1%/1%", deployment(2, "1%", "1%"), { maxSurge: 1, maxUnavailable: 0 }],
  ["0/0 would never move", deployment(3, 0, "10%"), { maxSurge: 0, maxUnavailable: 1 }],
  ["no more pods can be missing than there are", deployment(2, 1, 5), { maxSurge: 1, maxUnavailable: 2 }],
  ["100% of 3", deployment(3, "100%", "100%"), { maxSurge: 3, maxUnavailable: 3 }],
  ["7% of 100 is exactly 7", deployment(100, "7%", "7%"), { maxSurge: 7, maxUnavailable: 7 }],
];

for (const [what, given, expected] of limits) {
  test(`limits: ${what}`, () => assert.deepEqual(rollingLimits(given), expected));
}

const growing: readonly [string, Deployment, newSize: number, ReplicaSet[], expected: number][] = [
  ["the first ReplicaSet gets all", deployment(3, 1, 0), 0, [], 3],
  ["one more than wanted in all", deployment(3, 1, 0), 0, [set("o1", 3)], 1],
  ["no room", deployment(3, 1, 0), 1, [set("o1", 3)], 1],
  ["room as old ones leave", deployment(3, 1, 0), 1, [set("o1", 2)], 2],
  ["never above spec.replicas", deployment(3, 5, 0), 2, [set("o1", 1)], 3],
  ["down to spec.replicas", deployment(1, 1, 0), 3, [], 1],
];

for (const [what, given, newSize, old, expected] of growing) {
  test(`new ReplicaSet: ${what}`, () => assert.equal(newSetSize(given, newSize, old), expected));
}

const shrinking: readonly [string, Deployment, ReplicaSet, ReplicaSet[], Record<string, number>][] = [
  [
    "maxUnavailable 0: not before a new pod is available",
    deployment(3, 1, 0),
    set("n9", 1, 0),
    [set("o1", 3)],
    {},
  ],
  ["one for one", deployment(3, 1, 0), set("n9", 1, 1), [set("o1", 3)], { o1: 2 }],
  ["maxUnavailable 1: one at once", deployment(4, 1, 1), set("n9", 1, 0), [set("o1", 4)], { o1: 3 }],
  [
    "pods that are not available go first",
    deployment(4, 1, 1),
    set("n9", 1, 0),
    [set("o1", 4, 2)],
    { o1: 3 },
  ],
  [
    "the oldest ReplicaSet first",
    deployment(4, 2, 2),
    set("n9", 2, 2),
    [set("o2", 2), set("o1", 2)],
    { o1: 0, o2: 0 },
  ],
  [
    "a rollover: unavailable pods of the one in between",
    deployment(3, 1, 0),
    set("n9", 0, 0),
    [set("o1", 3), set("o2", 1, 0)],
    { o2: 0 },
  ],
];

for (const [what, given, newSet, old, expected] of shrinking) {
  test(`old ReplicaSets: ${what}`, () =>
    assert.deepEqual(Object.fromEntries(shrinkOldSets(given, newSet, old)), expected));
}

const scaling: readonly [string, Deployment, ReplicaSet | undefined, ReplicaSet[], Record<string, number>][] =
  [
    [
      "the only one in use takes the whole change",
      deployment(5, 1, 0),
      set("n9", 3),
      [set("o1", 0)],
      { n9: 5 },
    ],
    ["nothing in use: the new one", deployment(2, 1, 0), set("n9", 0), [set("o1", 0)], { n9: 2 }],
    [
      "in proportion, in the middle of a rollout (10 -> 15 with 3 + 8 of 13)",
      deployment(15, 3, 2),
      set("n9", 5, 0, { desired: 10, max: 13 }),
      [set("o1", 8, 8, { desired: 10, max: 13 })],
      { o1: 11, n9: 7 },
    ],
    [
      "to zero",
      deployment(0, 1, 0),
      set("n9", 1, 0, { desired: 3, max: 4 }),
      [set("o1", 3, 3, { desired: 3, max: 4 })],
      { o1: 0, n9: 0 },
    ],
    [
      "the new one has all it needs: the old ones go",
      deployment(3, 1, 0),
      set("n9", 3, 3, { desired: 3, max: 4 }),
      [set("o1", 1, 1, { desired: 4, max: 5 })],
      { o1: 0 },
    ],
  ];

for (const [what, given, newSet, old, expected] of scaling) {
  test(`scaling: ${what}`, () =>
    assert.deepEqual(Object.fromEntries(scaleSets(given, newSet, old)), expected));
}

test("a rolling step never leaves fewer available pods than allowed, nor more pods in all", () => {
  const sizes = array(record({ size: integer({ min: 0, max: 9 }), down: integer({ min: 0, max: 9 }) }), {
    maxLength: 4,
  });
  check(
    property(
      integer({ min: 1, max: 12 }),
      integer({ min: 0, max: 4 }),
      integer({ min: 0, max: 4 }),
      integer({ min: 0, max: 12 }),
      sizes,
      (replicas, maxSurge, maxUnavailable, newAvailable, olds) => {
        const given = deployment(replicas, maxSurge, maxUnavailable);
        const old = olds.map(({ size, down }, index) => set(`o${index}`, size, Math.max(0, size - down)));
        const grown = newSetSize(given, Math.min(newAvailable, replicas), old);
        const all = old.reduce((sum, one) => sum + sizeOf(one), 0) + grown;
        const before = old.reduce((sum, one) => sum + sizeOf(one), 0) + Math.min(newAvailable, replicas);
        assert.ok(all <= Math.max(before, replicas + rollingLimits(given).maxSurge), "too many pods");

        const newSet = set("n9", grown, Math.min(newAvailable, grown));
        const shrunk = shrinkOldSets(given, newSet, old);
        const needed = replicas - rollingLimits(given).maxUnavailable;
        const available = (one: ReplicaSet): number => {
          const size = shrunk.get(one.metadata?.name ?? "") ?? sizeOf(one);
          return Math.min(size, one.status?.availableReplicas ?? 0);
        };
        const had = [...old, newSet].reduce((sum, one) => sum + (one.status?.availableReplicas ?? 0), 0);
        const has = [...old, newSet].reduce((sum, one) => sum + available(one), 0);
        assert.ok(has >= Math.min(had, needed), `${has} available, ${needed} needed, ${had} before`);
        for (const size of shrunk.values()) assert.ok(size >= 0);
      },
    ),
    { numRuns: 500 },
  );
});

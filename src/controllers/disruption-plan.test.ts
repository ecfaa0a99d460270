import assert from "node:assert/strict";
import { test } from "node:test";
import { type Budget, planBudget, type Scale } from "./disruption-plan.ts";
import type { Pod } from "./objects.ts";

const now = Date.parse("2026-01-01T00:10:00Z");
const budget = (spec: object, status: object = {}): Budget => ({
  metadata: { name: "web", generation: 2 },
  spec,
  status: { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0, ...status },
});
const pod = (name: string, { ready = true, ending = false } = {}): Pod => ({
  metadata: { name, ...(ending ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}) },
  status: { conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
});
const pods = (count: number): Pod[] => Array.from({ length: count }, (_, index) => pod(`p${index}`));
const wants = (replicas: number) => (): Scale => ({ uid: "d1", replicas });

const table: readonly (readonly [string, object, readonly Pod[], number, string])[] = [
  ["one must stay", { minAvailable: 1 }, pods(3), 3, "2 of 3, needs 1 of 3"],
  ["as many as must stay", { minAvailable: 3 }, pods(3), 3, "0 of 3, needs 3 of 3"],
  ["half must stay, rounded up", { minAvailable: "50%" }, pods(3), 3, "1 of 3, needs 2 of 3"],
  ["one may go", { maxUnavailable: 1 }, pods(3), 3, "1 of 3, needs 2 of 3"],
  ["none may go", { maxUnavailable: 0 }, pods(3), 3, "0 of 3, needs 3 of 3"],
  ["a quarter may go, rounded up", { maxUnavailable: "25%" }, pods(3), 3, "1 of 3, needs 2 of 3"],
  ["pods that are missing count against it", { maxUnavailable: 1 }, pods(2), 3, "0 of 2, needs 2 of 3"],
  [
    "pods that are unready or ending are not healthy",
    { minAvailable: 1 },
    [pod("a"), pod("b", { ready: false }), pod("c", { ending: true })],
    3,
    "0 of 1, needs 1 of 3",
  ],
  ["no pods, no disruptions", { minAvailable: 0 }, [], 3, "0 of 0, needs 0 of 0"],
];
for (const [what, spec, selected, replicas, expected] of table) {
  test(`a disruption budget: ${what}`, () => {
    const { status } = planBudget(budget(spec), selected, wants(replicas), now);
    const { disruptionsAllowed, currentHealthy, desiredHealthy, expectedPods } = status;
    assert.equal(
      `${disruptionsAllowed} of ${currentHealthy}, needs ${desiredHealthy} of ${expectedPods}`,
      expected,
    );
    const [condition] = status.conditions ?? [];
    assert.equal(condition?.reason, disruptionsAllowed > 0 ? "SufficientPods" : "InsufficientPods");
    assert.equal(status.observedGeneration, 2);
  });
}

test("an eviction that was granted counts until its pod ends, two minutes at most", () => {
  const disruptedPods = {
    p0: "2026-01-01T00:09:00Z",
    p1: "2026-01-01T00:07:00Z",
    gone: "2026-01-01T00:09:59Z",
  };
  const { status, again } = planBudget(
    budget({ minAvailable: 1 }, { disruptedPods }),
    pods(3),
    wants(3),
    now,
  );
  assert.deepEqual(status.disruptedPods, { p0: "2026-01-01T00:09:00Z" });
  assert.equal(status.disruptionsAllowed, 1);
  assert.equal(again, 60_000);
});

test("a controller whose scale is not known forbids evictions and says why", () => {
  const { status } = planBudget(budget({ maxUnavailable: 1 }), pods(3), () => "why", now);
  assert.equal(status.disruptionsAllowed, 0);
  assert.deepEqual(
    status.conditions?.map(({ reason, message }) => [reason, message]),
    [["SyncFailed", "why"]],
  );
});

test("the condition keeps its time as long as it says the same", () => {
  const first = planBudget(budget({ minAvailable: 1 }), pods(3), wants(3), now).status;
  const later = planBudget(budget({ minAvailable: 1 }, first), pods(2), wants(3), now + 60_000).status;
  assert.equal(later.conditions?.[0]?.lastTransitionTime, "2026-01-01T00:10:00Z");
});

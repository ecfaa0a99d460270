import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { evaluate } from "../../test/support/policy-evaluator.ts";
import { randomWorld } from "../../test/support/policy-random.ts";
import { ports, worldPods, worldSnapshot } from "../../test/support/policy-world.ts";
import { decidePolicy } from "./policy.ts";

test("random policies decide as an evaluator that shares nothing with the model", () => {
  fc.assert(
    fc.property(randomWorld, fc.constantFrom("ipv4", "ipv6"), (world, family) => {
      const snapshot = worldSnapshot(world.policies, world.changes);
      assert.deepEqual(
        snapshot.findings.filter(({ code }) => code === "InvalidObject"),
        [],
      );
      for (const from of worldPods) {
        for (const to of worldPods) {
          for (const port of ports) {
            for (const protocol of ["TCP", "UDP", "SCTP"] as const) {
              const { allowed } = decidePolicy(snapshot, from[family], to[family], protocol, port);
              const wanted = evaluate(world, { from, to, family, protocol, port });
              assert.equal(allowed, wanted, `${from.key} -> ${to.key} ${port}/${protocol}`);
            }
          }
        }
      }
    }),
    { numRuns: 150 },
  );
});

test("the random policies are no trivial ones: they allow and deny", () => {
  const outcomes = { allowed: 0, denied: 0 };
  for (const world of fc.sample(randomWorld, { numRuns: 50, seed: 1 })) {
    const snapshot = worldSnapshot(world.policies, world.changes);
    for (const from of worldPods) {
      for (const to of worldPods) {
        const { allowed } = decidePolicy(snapshot, from.ipv4, to.ipv4, "TCP", 80);
        outcomes[allowed ? "allowed" : "denied"]++;
      }
    }
  }
  assert.ok(Math.min(outcomes.allowed, outcomes.denied) > 500, JSON.stringify(outcomes));
});

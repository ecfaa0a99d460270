/** The truth table of NetworkPolicies, with packets. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import * as fc from "fast-check";
import { decidePolicy } from "#model";
import { policyCases } from "../support/policy-cases.ts";
import { randomWorld } from "../support/policy-random.ts";
import { isReachable, ports, worldPods, worldPod, worldSnapshot } from "../support/policy-world.ts";
import { startPolicyLab } from "./policy-lab.ts";
import type { PolicyLab, Probe } from "./policy-lab.ts";
import { seed } from "../support/seed.ts";

const families = ["ipv4", "ipv6"] as const;

/** Every pod asks every other one. What a pod sends to itself never gets to a node. */
const everyProbe: readonly Probe[] = worldPods.flatMap((from) =>
  worldPods
    .filter((to) => to !== from)
    .flatMap((to) =>
      ports.flatMap((port) =>
        (["TCP", "UDP"] as const).flatMap((protocol) =>
          families.map((family): Probe => ({ from: from.key, to: to.key, port, protocol, family })),
        ),
      ),
    ),
);

function text({ from, to, port, protocol, family }: Probe): string {
  return `${from} -> ${to} ${port}/${protocol} ${family}`;
}

describe("the truth table of NetworkPolicies, with packets", () => {
  let lab: PolicyLab;
  before(async () => {
    lab = await startPolicyLab();
  });
  after(() => lab.close());

  for (const one of policyCases) {
    test(one.name, async () => {
      await lab.set(worldSnapshot(one.policies, one.changes));
      const answered = await lab.probe(everyProbe);
      const wanted = everyProbe.filter((probe) =>
        isReachable(one, { ...probe, from: worldPod(probe.from), to: worldPod(probe.to) }),
      );
      assert.deepEqual([...answered].map(text).sort(), wanted.map(text).sort());
    });
  }
});

test("random policies, one after the other: packets do what the model decides", async (t) => {
  const lab = await startPolicyLab();
  t.after(() => lab.close());
  t.diagnostic(`seed ${seed}`);
  for (const { policies, changes } of fc.sample(randomWorld, { numRuns: 12, seed })) {
    const snapshot = worldSnapshot(policies, changes);
    await lab.set(snapshot);
    const wanted = everyProbe.filter(
      ({ from, to, family, protocol, port }) =>
        decidePolicy(snapshot, worldPod(from)[family], worldPod(to)[family], protocol, port).allowed,
    );
    const answered = await lab.probe(everyProbe);
    const where = `seed ${seed}: ${JSON.stringify({ policies, changes })}`;
    assert.deepEqual([...answered].map(text).sort(), wanted.map(text).sort(), where);
  }
});

/**
 * Prediction and packet agree over load balancer, Service rules, overlay, policies and pod, for clusters and flows drawn at
 * random. `INROAD_SEED` makes it another run, `INROAD_RUNS` a longer one. What fails is made smaller; it belongs into
 * `path-cases.ts` then, under the name of the fact that it shows.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import * as fc from "fast-check";
import { pathCases } from "../support/path-cases.ts";
import { somePathCase } from "../support/path-world.ts";
import type { PathCase } from "../support/path-world.ts";
import { seed } from "../support/seed.ts";
import { disagreements } from "./path-agreement.ts";
import type { Tally } from "./path-agreement.ts";
import { startPathLab } from "./path-lab.ts";
import type { PathLab } from "./path-lab.ts";

const runs = Number(process.env["INROAD_RUNS"] ?? 8);

/** For so long a counterexample is made smaller, in milliseconds. */
const SHRINKING = 60_000;

for (const { mode, overlay, share } of [
  { mode: "nftables", overlay: "vxlan", share: 1 },
  { mode: "iptables-nft", overlay: "host-gw", share: 0.25 },
] as const) {
  describe(`prediction and packet over all hops, ${mode} and ${overlay}`, () => {
    let lab: PathLab;
    const tally: Tally = { unknown: 0, met: 0, refused: 0, silence: 0, inTurn: 0 };
    before(async () => {
      lab = await startPathLab(mode, overlay);
    });
    after(() => lab.close());

    for (const one of pathCases) {
      test(one.name, async () => {
        assert.deepEqual(await disagreements(lab, one, tally), []);
      });
    }

    test("clusters and flows drawn at random", async (t) => {
      t.diagnostic(`seed ${seed}`);
      let end = Infinity;
      let smallest: PathCase | undefined;
      const property = fc.asyncProperty(somePathCase, async (one) => {
        if (Date.now() > end) return;
        const found = await disagreements(lab, one, tally);
        if (found.length > 0) {
          end = Math.min(end, Date.now() + SHRINKING);
          smallest = one;
        }
        assert.deepEqual(found, []);
      });
      const drawn = fc.assert(property, { seed, numRuns: Math.ceil(runs * share), unbiased: true });
      await drawn.finally(() => smallest && t.diagnostic(`to be kept: ${JSON.stringify(smallest)}`));
      t.diagnostic(JSON.stringify(tally));
    });
  });
}

/**
 * Prediction and packet agree: over load balancer, Service rules, overlay, policies and pod, for clusters and flows drawn at
 * random. `INROAD_SEED` repeats a run, `INROAD_RUNS` makes it longer.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import * as fc from "fast-check";
import type { Snapshot } from "#model";
import type { Here, ProxyFacts } from "#path";
import { startOf } from "../../src/trace/start.ts";
import { everyRoute, fateText, predictedFates } from "../support/every-route.ts";
import type { Fate } from "../support/every-route.ts";
import { pathCases } from "../support/path-cases.ts";
import { somePathCase } from "../support/path-world.ts";
import type { PathCase, PathFlow } from "../support/path-world.ts";
import { startPathLab } from "./path-lab.ts";
import type { PathLab } from "./path-lab.ts";

const seed = Number(process.env["INROAD_SEED"] ?? Date.now() % 1_000_000_000);
const runs = Number(process.env["INROAD_RUNS"] ?? 25);

/** Milliseconds for which a counterexample is made smaller. */
const SHRINKING = 120_000;

/** As a trace begins; what it would ask over HTTP is nobody's affair here. */
function startOfFlow(snapshot: Snapshot, { from, to, port, protocol }: PathFlow): Here {
  const host = to.includes(":") ? `[${to}]` : to;
  const request = { url: `http://${host}:${port}/`, method: "GET", headers: {}, from };
  const { place, flow } = startOf(snapshot, request, {});
  return { place, flow: { protocol, source: flow.source, destination: { address: to, port } } };
}

function predict(snapshot: Snapshot, flow: PathFlow, facts: ProxyFacts): readonly Fate[] | undefined {
  return predictedFates(everyRoute(snapshot, startOfFlow(snapshot, flow), facts));
}

interface Counts {
  flows: number;
  unknown: number;
  met: number;
  refused: number;
  silence: number;
}

/** What was predicted and what became of it, where they differ. */
async function disagreements(lab: PathLab, one: PathCase, counts: Counts): Promise<readonly string[]> {
  const snapshot = await lab.set(one);
  const facts = lab.facts();
  const predicted = new Map(one.flows.map((flow) => [flow, predict(snapshot, flow, facts)]));
  const fates = await lab.send(one.flows, (flow) => predicted.get(flow)?.includes("silence") === false);
  return one.flows.flatMap((flow) => {
    const [wanted, fate] = [predicted.get(flow), fates.get(flow) ?? "silence"];
    counts.flows++;
    counts[wanted === undefined ? "unknown" : typeof fate === "string" ? fate : "met"]++;
    const texts = wanted?.map(fateText);
    if (texts === undefined || texts.includes(fateText(fate))) return [];
    const { from, to, port, protocol } = flow;
    return [
      `${from} to ${to} ${port}/${protocol}: ${fateText(fate)}, predicted ${[...new Set(texts)].join(" | ")}`,
    ];
  });
}

for (const [mode, share] of [
  ["nftables", 1],
  ["iptables-nft", 0.2],
] as const) {
  describe(`prediction and packet over all hops, ${mode}`, () => {
    let lab: PathLab;
    const counts: Counts = { flows: 0, unknown: 0, met: 0, refused: 0, silence: 0 };
    before(async () => {
      lab = await startPathLab(mode);
    });
    after(() => lab.close());

    for (const one of pathCases) {
      test(one.name, async () => {
        assert.deepEqual(await disagreements(lab, one, counts), []);
      });
    }

    test("clusters and flows drawn at random", async (t) => {
      t.diagnostic(`seed ${seed}`);
      let end = Infinity;
      const property = fc.asyncProperty(somePathCase, async (one) => {
        if (Date.now() > end) return;
        const found = await disagreements(lab, one, counts);
        if (found.length > 0) end = Math.min(end, Date.now() + SHRINKING);
        assert.deepEqual(found, []);
      });
      await fc.assert(property, { seed, numRuns: Math.ceil(runs * share) });
      t.diagnostic(JSON.stringify(counts));
    });
  });
}

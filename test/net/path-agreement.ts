/**
 * Whether prediction and packet agree: what was observed is in the predicted set, always; and it is the predicted next one
 * where no other connection came between.
 */
import { withPort } from "#lib/ip";
import type { Place, Snapshot } from "#model";

import type { Here, ProxyFacts, Route } from "#path";
import { listFor, rememberedKey } from "#path/proxy";
import { startOf } from "../../src/trace/start.ts";
import { everyRoute, fateText, predictedFates } from "../support/every-route.ts";
import type { Fate } from "../support/every-route.ts";
import type { NodeName, PathCase, PathFlow } from "../support/path-world.ts";
import type { PathLab } from "./path-lab.ts";

/** What flows came to. */
export type Tally = Record<"unknown" | "met" | "refused" | "silence" | "inTurn", number>;

/** Each flow whose fate is not among those that are predicted, in words. */
export async function disagreements(lab: PathLab, one: PathCase, tally: Tally): Promise<readonly string[]> {
  const snapshot = await lab.set(one);
  const facts = lab.facts();
  const routes = new Map(
    one.flows.map((flow) => [flow, everyRoute(snapshot, startOfFlow(snapshot, flow), facts)]),
  );
  const predicted = new Map([...routes].map(([flow, ways]) => [flow, predictedFates(ways)]));
  const fates = await lab.send(one.flows, (flow) => predicted.get(flow)?.includes("silence") === false);
  const wrong = one.flows.flatMap((flow) => {
    const [wanted, fate] = [predicted.get(flow), fates.get(flow) ?? "silence"];
    tally[wanted === undefined ? "unknown" : typeof fate === "string" ? fate : "met"]++;
    return [...compare(flow, wanted, fate), ...contradictions(flow, routes.get(flow) ?? [])];
  });
  return [...wrong, ...(await outOfTurn(lab, snapshot, one, tally))];
}

/**
 * Where the plan of the rules leads elsewhere than to those that the model calls eligible. The rules follow that plan, and so
 * do predictions: no packet would tell.
 */
function contradictions(flow: PathFlow, routes: readonly Route[]): readonly string[] {
  const found = routes.flatMap(({ visits }) =>
    visits.flatMap(({ place, steps, alternatives }) => {
      const { decision, evaluated = [] } = steps.at(-1) ?? {};
      const letIn = evaluated.every(({ matched }) => matched);
      if (place.at !== "proxy" || decision === undefined || !letIn) return [];
      const eligible = decision.candidates.filter((one) => one.eligible).map(endText);
      const led = alternatives.map((one) => endText(one.flow.destination));
      // By a hash, the source has chosen already.
      const hashed = decision.algorithm === "source hash" && led.length > 0;
      const same = hashed
        ? led.every((end) => eligible.includes(end))
        : eligible.toSorted().join() === led.toSorted().join();
      return same ? [] : [`${place.node} leads to ${led.join() || "nobody"}, eligible ${eligible.join()}`];
    }),
  );
  return [...new Set(found)].map((text) => `${flow.from} to ${flow.to} ${flow.port}: ${text}`);
}

function endText({ address = "", port = 0 }: { readonly address?: string; readonly port?: number }): string {
  return withPort(address, port);
}

/** As a trace begins; what it would ask over HTTP is nobody's affair here. */
function startOfFlow(snapshot: Snapshot, { from, to, port, protocol }: PathFlow): Here {
  const host = to.includes(":") ? `[${to}]` : to;
  const request = { url: `http://${host}:${port}/`, method: "GET", headers: {}, from };
  const { place, flow } = startOf(snapshot, request, {});
  return { place, flow: { protocol, source: flow.source, destination: { address: to, port } } };
}

function compare(flow: PathFlow, wanted: readonly Fate[] | undefined, fate: Fate): readonly string[] {
  const texts = wanted?.map(fateText);
  if (texts === undefined || texts.includes(fateText(fate))) return [];
  const { from, to, port, protocol } = flow;
  const all = [...new Set(texts)].join(" | ");
  return [`${from} to ${to} ${port}/${protocol}: ${fateText(fate)}, predicted ${all}`];
}

/** Connections to one list, one after the other. */
const TURNS = 3;

/** The first flow that takes turns at a node, sent a few times more, each time with the turn known before. */
async function outOfTurn(
  lab: PathLab,
  snapshot: Snapshot,
  { flows }: PathCase,
  tally: Tally,
): Promise<readonly string[]> {
  const wrong: string[] = [];
  const taken = flows.map((flow) => takesTurns(snapshot, flow)).find((one) => one !== undefined);
  if (taken === undefined) return [];
  for (let turn = 0; turn < TURNS; turn++) {
    const facts = { ...lab.facts(), ...(await turnsOf(lab, taken)) };
    const [next] = everyRoute(snapshot, taken.start, facts);
    if (next === undefined || !isCertain(next)) break;
    const wanted = predictedFates([next]);
    const fates = await lab.send([taken.flow], () => wanted?.includes("silence") === false);
    tally.inTurn++;
    wrong.push(...compare(taken.flow, wanted, fates.get(taken.flow) ?? "silence"));
  }
  return wrong.map((text) => `in turn, ${text}`);
}

/** Where it is not known whom a client is remembered for, nobody knows the next one. */
function isCertain({ visits }: Route): boolean {
  const { alternatives = [], steps = [] } = visits[0] ?? {};
  return alternatives.length === 1 || steps.at(-1)?.decision?.next !== undefined;
}

interface Taken {
  readonly flow: PathFlow;
  readonly start: Here;
  readonly node: NodeName;
  readonly list: string;
}

function takesTurns(snapshot: Snapshot, flow: PathFlow): Taken | undefined {
  const start = startOfFlow(snapshot, flow);
  if (start.place.at !== "proxy") return undefined;
  const list = listFor(snapshot, start.place, start.flow);
  if (list === undefined) return undefined;
  // Who is remembered for a second only may be forgotten between the question and the packet.
  const { affinityTimeoutSeconds } = snapshot.services.get(list.split(":")[0] ?? "") ?? {};
  return affinityTimeoutSeconds === 1 ? undefined : { flow, start, node: nameOf(start.place), list };
}

function nameOf({ node }: Extract<Place, { at: "proxy" }>): NodeName {
  return node as NodeName;
}

async function turnsOf(lab: PathLab, { node, list, start }: Taken): Promise<ProxyFacts> {
  const proxy = lab.proxy(node);
  const client = start.flow.source.address;
  const [turns, met] = [await proxy.rotation([list]), await proxy.remembered(list, client)];
  const known = new Map([[rememberedKey(list, client), met?.endpoint]]);
  return {
    turns: new Map([[node, turns]]),
    ...(met === undefined ? {} : { remembered: new Map([[node, known]]) }),
  };
}

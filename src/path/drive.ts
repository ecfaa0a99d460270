/** The loop that drives a flow from place to place. It knows no hop: the table says who explains which place. */
import { endpointText, placeName } from "#model";
import type {
  Alternative,
  Explanation,
  Finding,
  Flow,
  ObjectRef,
  Outcome,
  Place,
  Snapshot,
  Step,
} from "#model";
import { assumptionsAt, objectsAt } from "./objects-at.ts";

/** Who explains a place. */
export type HopTable = {
  readonly [At in Place["at"]]: (
    snapshot: Snapshot,
    place: Extract<Place, { at: At }>,
    flow: Flow,
  ) => Explanation;
};

/**
 * Says which alternative a flow takes: its index. `step` is the last step of the hop that balances. What is picked
 * decides how the route goes on, never what was possible.
 */
export type Pick = (alternatives: readonly Alternative[], step: Step | undefined, at: Here) => number;

export interface Here {
  readonly place: Place;
  readonly flow: Flow;
}

/** One stay of the flow at a place. */
export interface Visit extends Here {
  readonly steps: readonly Step[];
  /** Where it could go on; empty at the end of the route. */
  readonly alternatives: readonly Alternative[];
  /** Index of the alternative that was picked. */
  readonly picked?: number;
  /** The Kubernetes objects that decide here. */
  readonly objects: readonly ObjectRef[];
}

export type Verdict = Exclude<Outcome, { kind: "next" }>;

export interface Route {
  readonly visits: readonly Visit[];
  /** How the way ends according to the hops. */
  readonly reached: Verdict;
  /** The same, but `unknown` where something that is not implemented could change it. */
  readonly verdict: Verdict;
  /** What should be known about the objects on the way, without duplicates. */
  readonly assumptions: readonly Finding[];
}

/** More places than any way has: a route that comes so far is wrong. */
const maxVisits = 64;

/** Drives a flow until it is delivered, rejected, dropped, unknown or goes in a circle. Never throws for a flow. */
export function driveThrough(hops: HopTable, snapshot: Snapshot, start: Here, pick: Pick): Route {
  const visits: Visit[] = [];
  const assumptions = new Set<Finding>();
  const been = new Set<string>();
  const end = (reached: Verdict): Route => ({
    visits,
    reached,
    verdict: judge(reached, assumptions),
    assumptions: [...assumptions],
  });
  let here = start;
  for (;;) {
    const key = JSON.stringify([here.place, here.flow]);
    if (been.has(key) || visits.length >= maxVisits) return end(circle(here.place));
    been.add(key);
    const { steps, outcome, assumptions: found } = explainAt(hops, snapshot, here);
    for (const finding of [...found, ...assumptionsAt(snapshot, here)]) assumptions.add(finding);
    const objects = objectsAt(snapshot, here);
    if (outcome.kind !== "next") {
      visits.push({ ...here, steps, alternatives: [], objects });
      return end(outcome);
    }
    const picked = within(outcome.alternatives, pick(outcome.alternatives, steps.at(-1), here));
    const chosen = outcome.alternatives[picked];
    if (chosen === undefined)
      return end({ kind: "unknown", reason: `nothing follows ${placeName(here.place)}` });
    visits.push({
      ...here,
      steps: resolved(steps, here, outcome.alternatives, chosen),
      alternatives: outcome.alternatives,
      picked,
      objects,
    });
    here = { place: chosen.place, flow: chosen.flow };
  }
}

function explainAt(hops: HopTable, snapshot: Snapshot, { place, flow }: Here): Explanation {
  switch (place.at) {
    case "public-dns":
      return hops["public-dns"](snapshot, place, flow);
    case "cluster-dns":
      return hops["cluster-dns"](snapshot, place, flow);
    case "edge":
      return hops.edge(snapshot, place, flow);
    case "proxy":
      return hops.proxy(snapshot, place, flow);
    case "node":
      return hops.node(snapshot, place, flow);
    case "pod":
      return hops.pod(snapshot, place, flow);
    default:
      return hops.ingress(snapshot, place, flow);
  }
}

function within(alternatives: readonly Alternative[], index: number): number {
  return Number.isInteger(index) && index >= 0 && index < alternatives.length ? index : 0;
}

/**
 * The steps with the choice written into the last one: who was chosen and, where packets are translated, the addresses
 * before and after. Translations follow from the flows, so they are true whatever was picked.
 */
function resolved(
  steps: readonly Step[],
  here: Here,
  alternatives: readonly Alternative[],
  chosen: Alternative,
): readonly Step[] {
  const last = steps.at(-1);
  if (last === undefined) return steps;
  const { decision } = last;
  const decides = decision?.candidates.some(({ name }) => name === chosen.name) ?? false;
  const translates = here.place.at === "edge" || here.place.at === "proxy" || here.place.at === "node";
  const rewrites = translates ? translations(last.rewrites, here.flow, chosen.flow) : last.rewrites;
  const to = alternatives.length > 1 && !last.to.includes(chosen.name) ? chosen.name : last.to;
  const step = {
    ...last,
    to,
    rewrites,
    ...(decision !== undefined && decides ? { decision: { ...decision, chosen: chosen.name } } : {}),
  };
  return [...steps.slice(0, -1), step];
}

function translations(given: readonly string[], before: Flow, after: Flow): readonly string[] {
  const others = given.filter((line) => !/^(?:source|destination) /.test(line));
  const ends = ["destination", "source"] as const;
  return [
    ...ends.flatMap((end) => {
      const [from, to] = [endpointText(before[end]), endpointText(after[end])];
      return from === to ? [] : [`${end} ${from} -> ${to}${end === "source" ? " (masquerade)" : ""}`];
    }),
    ...others,
  ];
}

function circle(place: Place): Verdict {
  return {
    kind: "dropped",
    reason: `the packet goes in a circle: it comes back to ${placeName(place)}`,
    mend: "look for a load-balancer or Service address that leads to itself",
  };
}

/** A delivery that depends on something that is not implemented is not certain. */
function judge(reached: Verdict, assumptions: ReadonlySet<Finding>): Verdict {
  const doubt = [...assumptions].find((finding) => finding.affectsRouting);
  if (reached.kind !== "delivered" || doubt === undefined) return reached;
  const { kind, namespace, name } = doubt.object;
  const object = `${kind} ${namespace === undefined ? "" : `${namespace}/`}${name}`;
  return {
    kind: "unknown",
    reason: `${object}: ${doubt.message}`,
    ...(doubt.mend === undefined ? {} : { mend: doubt.mend }),
  };
}

/** The way back: the forward steps in reverse, with every translation undone. */
import { endpointText, type Flow } from "#model";
import type { Visit } from "#path";
import { keeperOf, sourcesOf, trackedAt, tupleText } from "./evidence.ts";
import type { Observations, ReplyStep } from "./types.ts";

/** Empty when the request reached no pod. Names are not resolved again on the way back, so DNS has no part in it. */
export function replySteps(
  visits: readonly Visit[],
  observations: Observations | undefined,
): readonly ReplyStep[] {
  if (visits.at(-1)?.place.at !== "pod") return [];
  return visits.toReversed().flatMap((visit) => replyAt(visit, observations ?? {}));
}

function replyAt(visit: Visit, observations: Observations): readonly ReplyStep[] {
  const { place, flow, steps } = visit;
  const last = steps.at(-1);
  if (last === undefined) return [];
  const ends = { from: endpointText(flow.destination), to: senderText(flow, observations) };
  const base = { component: last.component, ...ends, rewrites: [] };
  switch (place.at) {
    case "pod":
      return visit.alternatives.length === 0 ? [{ ...base, action: "answer" }] : [];
    case "ingress":
      return [{ ...base, action: "pass on" }];
    case "edge":
      return [{ ...base, action: "pass on" }];
    case "node":
      return backOverNodes(visit, ends);
    case "proxy": {
      const tracked = trackedAt(observations, place.node, flow);
      const rewrites = undone(last.rewrites);
      const observed =
        tracked.kind === "entry"
          ? { observed: `${keeperOf(observations)} expects ${tupleText(tracked.entry.reply)}` }
          : {};
      return [{ ...base, action: rewrites.length === 0 ? "pass on" : "un-DNAT", rewrites, ...observed }];
    }
    default:
      return [];
  }
}

/** The client's end, with the port where a record tells it. */
function senderText(flow: Flow, observations: Observations): string {
  const own = sourcesOf(observations, flow).find(({ address }) => address === flow.source.address);
  return endpointText(own ?? flow.source);
}

/** The nodes in reverse: each but the last one sends to the next one as that one sent on the way there. */
function backOverNodes({ steps }: Visit, ends: { from: string; to: string }): readonly ReplyStep[] {
  // Policies are asked for the first packet only.
  const back = steps.filter(({ action }) => action !== "admit").toReversed();
  return back.map(({ component }, i) => {
    const next = back[i + 1];
    return {
      component,
      action: next?.action ?? "route",
      from: ends.from,
      to: next === undefined ? ends.to : next.component,
      rewrites: next === undefined ? [] : undone(next.rewrites),
    };
  });
}

/**
 * `destination A -> B` on the way there is `source B -> A` on the way back, and the other way round; a tunnel's ends are
 * swapped.
 */
function undone(rewrites: readonly string[]): readonly string[] {
  return rewrites.flatMap((line) => {
    const [, end, before, after] = /^(source|destination) (\S+) -> (\S+)/.exec(line) ?? [];
    if (end !== undefined) return [`${end === "source" ? "destination" : "source"} ${after} -> ${before}`];
    const [, tunnel, near, far, rest = ""] = /^(VXLAN .*): (\S+) -> ([\d.]+)(.*)$/.exec(line) ?? [];
    return tunnel === undefined ? [] : [`${tunnel}: ${far} -> ${near}${rest}`];
  });
}

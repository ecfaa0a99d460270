/** A prediction beside what was observed: the trace document. Observed must be among the predicted, always. */
import { endpointText, type ObjectRef } from "#model";
import type { Visit } from "#path";
import { checksAt, type Compared } from "./checks.ts";
import type { Prediction } from "./predict.ts";
import { replySteps } from "./reply.ts";
import { stageOf } from "./stages.ts";
import type { Disagreement, Observations, Trace, TraceStep } from "./types.ts";
import { compareEnd } from "./verdict.ts";

export interface CompareOptions {
  /** The id by which the request can be found in records. */
  readonly requestId?: string;
  /** `file:line` of the object in the user's manifests. */
  readonly locate?: (object: ObjectRef) => string | undefined;
}

/** The trace of a prediction and, if a request was sent, of what was seen of it. */
export function compare(
  { snapshot, request, route }: Prediction,
  observations?: Observations,
  options: CompareOptions = {},
): Trace {
  const { visits } = route;
  const compared = visits.map((visit, i) =>
    observations === undefined ? [] : checksAt(snapshot, visit, visits.slice(i + 1), observations),
  );
  const steps = visits.flatMap((visit, i) =>
    stepsOf(visit, stageOf(visits, i), compared[i] ?? [], { observations, visits, options }),
  );
  const end = compareEnd(snapshot, route, observations);
  const id = options.requestId ?? observations?.ingress?.requestId;
  const total = observations?.client?.timing?.total;
  return {
    apiVersion: "inroad.dev/v1",
    kind: "Trace",
    request: { ...request, ...(id === undefined ? {} : { id }) },
    steps,
    wayBack: replySteps(visits, observations),
    verdict: end.verdict,
    disagreements: [...steps.flatMap(disagreementsOf), ...end.disagreements],
    findings: route.assumptions,
    ...(total === undefined ? {} : { timing: total }),
  };
}

interface Context {
  readonly observations: Observations | undefined;
  readonly visits: readonly Visit[];
  readonly options: CompareOptions;
}

function stepsOf(
  visit: Visit,
  stage: TraceStep["stage"],
  compared: readonly Compared[],
  context: Context,
): readonly TraceStep[] {
  const timing = timingOf(visit, context);
  return visit.steps.map((step, i) => {
    const last = i === visit.steps.length - 1;
    const { predicted, ...rest } = step;
    // A visit to a node tells of two nodes where the overlay lies between; its object is the first.
    const decides = visit.place.at === "node" ? i === 0 : last;
    const { checks = [], missing = [], records = [] } = compared[i] ?? {};
    return {
      ...rest,
      stage,
      evidence: {
        predicted,
        checks,
        missing,
        records: [...records, ...(last ? ruleLines(visit, context.observations) : [])],
        objects: decides ? visit.objects.map((object) => located(object, context.options)) : [],
      },
      ...(last && timing !== undefined ? { timing } : {}),
    };
  });
}

/** The rules of the kernel that chose the endpoint. */
function ruleLines({ place, flow }: Visit, observations: Observations | undefined): readonly string[] {
  if (place.at !== "proxy") return [];
  const to = endpointText(flow.destination);
  const read = observations?.rules?.find((rules) => rules.node === place.node && rules.to === to);
  return (read?.lines ?? []).map((line) => `rules ${place.node}: ${line.trim()}`);
}

function located(object: ObjectRef, { locate }: CompareOptions): ObjectRef & { readonly where?: string } {
  const where = locate?.(object);
  return where === undefined ? object : { ...object, where };
}

function timingOf(visit: Visit, { observations, visits }: Context): number | undefined {
  const { timing } = observations?.client ?? {};
  const { timings } = observations?.ingress ?? {};
  const behindIngress = visits.slice(0, visits.indexOf(visit)).some(({ place }) => place.at === "ingress");
  switch (visit.place.at) {
    case "public-dns":
    case "cluster-dns":
      return behindIngress ? timings?.resolved : timing?.dns;
    case "edge":
      return timing?.connect;
    case "ingress":
      return timings?.total;
    default:
      return undefined;
  }
}

function disagreementsOf(step: TraceStep): readonly Disagreement[] {
  return step.evidence.checks
    .filter(({ agrees }) => !agrees)
    .map(({ what, predicted, observed, source }) => ({
      where: step.hop,
      component: step.component,
      what,
      predicted,
      observed,
      source,
    }));
}

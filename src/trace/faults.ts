/** What faults that somebody made on purpose (`inroad fault`) do to a predicted way. Pure. */
import { describeFault } from "#model";
import type { Fault, Finding, ObjectRef, PodAt, Snapshot } from "#model";
import type { Route, Visit } from "#path";

/**
 * The way with the faults that lie on it: it ends where nothing passes, its end is uncertain where packets are lost, and
 * all of them stand among its assumptions.
 */
export function withFaults(snapshot: Snapshot, route: Route, faults: readonly Fault[]): Route {
  const crossings = crossingsOf(snapshot, route.visits);
  const met = faults.filter((fault) => meets(fault, route.visits, crossings));
  if (met.length === 0) return route;
  const assumptions = [...route.assumptions, ...met.map(findingOf)];
  const cut = crossings.find((crossing) => met.some((fault) => isCut(fault, crossing)));
  if (cut !== undefined) {
    const [cause] = met.filter((fault) => isCut(fault, cut));
    const dropped = { kind: "dropped", ...(cause === undefined ? { reason: "" } : told(cause)) } as const;
    const visits = route.visits.slice(0, cut.after + 1).map((visit) => withoutArrival(visit, cut));
    return { visits, reached: dropped, verdict: dropped, assumptions };
  }
  const lossy = met.find(({ kind }) => kind === "loss");
  if (lossy === undefined || route.verdict.kind !== "delivered") return { ...route, assumptions };
  const unknown = { kind: "unknown", ...told(lossy) } as const;
  return { ...route, reached: unknown, verdict: unknown, assumptions };
}

/** What a node tells of a way includes how it ends on the other node: there nothing arrives. */
function withoutArrival(visit: Visit, { to }: Crossing): Visit {
  return { ...visit, steps: visit.steps.filter(({ component }) => component !== `node ${to}`) };
}

function told(fault: Fault): { reason: string; mend: string } {
  return {
    reason: `fault ${fault.id}: ${describeFault(fault)}`,
    mend: `inroad fault heal ${fault.id}`,
  };
}

function findingOf(fault: Fault): Finding {
  const object: ObjectRef =
    fault.kind === "unready"
      ? { kind: "Pod", namespace: fault.namespace, name: fault.pod }
      : { kind: "Node", name: fault.node };
  const { reason: message, mend } = told(fault);
  return {
    code: "Fault",
    severity: "warning",
    object,
    message,
    mend,
    affectsRouting: fault.kind !== "latency",
  };
}

/** A step of the way over the network between nodes; `undefined` is the world outside of them. */
interface Crossing {
  readonly from: string | undefined;
  readonly to: string | undefined;
  /** Index of the last visit before it. */
  readonly after: number;
}

function crossingsOf(snapshot: Snapshot, visits: readonly Visit[]): Crossing[] {
  const nodes = visits.map(({ place }) => {
    if (place.at === "proxy" || place.at === "node") return place.node;
    if (place.at === "edge") return "outside";
    const pod: PodAt | undefined = "pod" in place ? place.pod : undefined;
    return pod && snapshot.pods.get(`${pod.namespace}/${pod.name}`)?.node;
  });
  return nodes.flatMap((to, index) => {
    const from = nodes[index - 1];
    return index === 0 || from === undefined || to === undefined || from === to
      ? []
      : [{ from, to, after: index - 1 }];
  });
}

function meets(fault: Fault, visits: readonly Visit[], crossings: readonly Crossing[]): boolean {
  if (fault.kind !== "unready") return crossings.some((crossing) => isOn(fault, crossing));
  const name = `${fault.namespace}/${fault.pod}`;
  return visits.some(({ steps, place }) => {
    if (place.at === "pod" && `${place.pod.namespace}/${place.pod.name}` === name) return true;
    return steps.some(({ decision }) => decision?.candidates.some((candidate) => candidate.name === name));
  });
}

function isOn(fault: Exclude<Fault, { kind: "unready" }>, { from, to }: Crossing): boolean {
  const ends = [from, to];
  if (fault.kind === "partition") return ends.includes(fault.node) && ends.includes(fault.other);
  return ends.includes(fault.node);
}

/** Whether nothing at all passes. */
function isCut(fault: Fault, crossing: Crossing): boolean {
  return (
    (fault.kind === "node-down" || fault.kind === "partition" || isTotalLoss(fault)) && isOn(fault, crossing)
  );
}

function isTotalLoss(fault: Fault): fault is Extract<Fault, { kind: "loss" }> {
  return fault.kind === "loss" && fault.percent === 100;
}

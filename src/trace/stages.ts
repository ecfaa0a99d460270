import type { Visit } from "#path";
import type { TraceStep } from "./types.ts";

/** The eight steps of the way, in words. */
export const stageTitles: readonly string[] = [
  "External request: which address is it?",
  "Load balancer → ingress controller",
  "Ingress controller reads host and path",
  "Ingress → Service: the name becomes a ClusterIP",
  "Service → pod: the rules of the node",
  "Load balancing: whose turn it is, and the way to its node",
  "The pod handles the request",
  "The answer travels back",
];

/**
 * Which of the steps a visit belongs to. What happens to packets on their way into the ingress pod belongs to step 2;
 * the same hops behind the ingress, or without one, are steps 4 to 7.
 */
export function stageOf(visits: readonly Visit[], index: number): TraceStep["stage"] {
  const at = visits[index]?.place.at;
  if (at === "public-dns") return 1;
  if (at === "edge") return 2;
  if (at === "ingress") return 3;
  if (leadsIn(visits, index)) return at === "cluster-dns" ? 1 : 2;
  if (at === "cluster-dns") return 4;
  if (at === "proxy") return 5;
  return at === "node" ? 6 : 7;
}

/** Whether a visit is on the way into the ingress. */
function leadsIn(visits: readonly Visit[], index: number): boolean {
  const ingress = visits.findIndex(({ place }) => place.at === "ingress");
  if (ingress >= 0) return index < ingress;
  return visits.slice(0, index).some(({ place }) => place.at === "edge");
}

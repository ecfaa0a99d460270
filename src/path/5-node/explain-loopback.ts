/** Why a connection to a pod goes where it goes when all nodes share one network of this process: there is no way between them. */
import type { Explanation, Flow, Place, Snapshot } from "#model";
import { explain } from "./explain.ts";

/** As `explain`, with the same outcome, but without links, routes and tunnels. */
export function explainLoopback(
  snapshot: Snapshot,
  place: Extract<Place, { at: "node" }>,
  flow: Flow,
): Explanation {
  const { address = "", port } = flow.destination;
  const pod = snapshot.podsByAddress.get(address);
  if (pod === undefined || pod.hostNetwork) {
    const { steps, ...rest } = explain(snapshot, place, flow);
    const kept = steps.filter(({ action }) => action !== "encapsulate");
    return { ...rest, steps: kept.map((step) => ({ ...step, action: "connect", predicted: [] })) };
  }
  const name = `${pod.namespace}/${pod.name}`;
  const where = pod.node === place.node ? "" : ` on ${pod.node ?? "no node"}`;
  return {
    steps: [
      {
        hop: "5-node",
        component: `node ${place.node}`,
        action: "connect",
        from: flow.source.address,
        to: `pod ${name}${where} (${address}:${port})`,
        evaluated: [],
        rewrites: [],
        predicted: [],
      },
    ],
    outcome: {
      kind: "next",
      alternatives: [{ name, place: { at: "pod", pod: { namespace: pod.namespace, name: pod.name } }, flow }],
    },
    assumptions: [],
  };
}

/** Why a connection to a pod goes where it goes when all nodes share one network of this process: there is no way between them. */
import { decidePolicy, denialText, withoutPolicies } from "#model";
import type { Explanation, Finding, Flow, Place, Snapshot } from "#model";
import { explain } from "./explain.ts";

/**
 * As `explain`, with the same outcome, but without links, routes and tunnels. NetworkPolicies are not in force: what one of
 * them would keep back depends on an assumption that says so.
 */
export function explainLoopback(
  snapshot: Snapshot,
  place: Extract<Place, { at: "node" }>,
  flow: Flow,
): Explanation {
  const { address = "", port } = flow.destination;
  const pod = snapshot.podsByAddress.get(address);
  if (pod === undefined || pod.hostNetwork) {
    const { steps, ...rest } = explain(withoutPolicies(snapshot), place, flow);
    const kept = steps.filter(({ action }) => action !== "encapsulate");
    const connects = kept.map((step) => ({ ...step, action: "connect", predicted: [] }));
    return { ...rest, steps: connects, assumptions: notKeptBack(snapshot, flow, address) };
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
    assumptions: notKeptBack(snapshot, flow, address),
  };
}

function notKeptBack(snapshot: Snapshot, { source, destination, protocol }: Flow, to: string): Finding[] {
  const from = source.masqueraded ?? source.address;
  const { port } = destination;
  const { egress, ingress } = decidePolicy(snapshot, from, to, protocol, port);
  const denied = [egress, ingress].find((decision) => decision?.allowed === false);
  const policy = denied?.policies[0]?.policy;
  if (denied === undefined || policy === undefined) return [];
  const { reason } = denialText(snapshot, denied, { from, to, protocol, port });
  return [
    {
      code: "PolicyNotInForce",
      severity: "warning",
      object: { kind: "NetworkPolicy", namespace: policy.namespace, name: policy.name },
      message: `NetworkPolicies are not in force without namespaces; where they are, the connection is kept back: ${reason}`,
      mend: "try it with another --proxy-mode",
      affectsRouting: true,
    },
  ];
}

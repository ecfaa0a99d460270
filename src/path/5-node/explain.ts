/** Why a packet for a pod (or other) address goes where it goes, and what policies say of it. Pure. */
import { isIPv4 } from "#lib/ip";
import type { Explanation, Flow, NodeModel, Outcome, Place, PolicyConnection, Snapshot, Step } from "#model";
import { explainPolicy } from "./policy/explain.ts";
import type { PolicyExplanation } from "./policy/explain.ts";
import { end, explainRoute } from "./route.ts";
import { networkSettings } from "./settings.ts";
import type { NodeNetworkSettings } from "./settings.ts";
import { vtepAddress } from "./vxlan.ts";

type NodePlace = Extract<Place, { at: "node" }>;

/** The networks of both families; a node's own address decides which of them there are. */
const allNetworks = networkSettings(["IPv4", "IPv6"], "vxlan");

/**
 * The way of a packet that is to be routed by a node: to a pod here, to another node, out of the cluster, or nowhere; and
 * what NetworkPolicies say of it, where the source pod lives and where the destination pod lives.
 */
export function explain(
  snapshot: Snapshot,
  place: NodePlace,
  flow: Flow,
  settings: NodeNetworkSettings = allNetworks,
): Explanation {
  const routed = explainRoute(snapshot, place, flow, settings);
  // What has no route here is refused before it is forwarded, which is when policies are asked.
  const refusedHere = routed.outcome.kind === "rejected" && routed.steps.length < 2;
  if (refusedHere || routed.steps.length === 0) return routed;
  const leaving = leavingOf(snapshot, place.node, flow);
  if (leaving?.dropped !== undefined) return end([leaving.step], leaving.dropped);
  const arriving = arrivingOf(snapshot, place.node, flow, routed);
  const before = leaving === undefined ? [] : [leaving.step];
  const arrived = { ...routed, outcome: outcomeFrom(snapshot.nodes.get(place.node), flow, routed) };
  if (arriving === undefined) return { ...arrived, steps: [...before, ...routed.steps] };
  const [delivery, way] = [routed.steps.slice(-1), routed.steps.slice(0, -1)];
  if (arriving.dropped !== undefined) return end([...before, ...way, arriving.step], arriving.dropped);
  return { ...arrived, steps: [...before, ...way, arriving.step, ...delivery] };
}

/** The egress policies of the source pod, if it lives on this node. */
function leavingOf(snapshot: Snapshot, node: string, flow: Flow): PolicyExplanation | undefined {
  const from = sourceOf(flow);
  if (snapshot.podsByAddress.get(from)?.node !== node) return undefined;
  return explainPolicy(snapshot, node, "egress", connectionOf(flow, from));
}

/** The ingress policies of the pod that it is delivered to, asked on the node of that pod. */
function arrivingOf(
  snapshot: Snapshot,
  node: string,
  flow: Flow,
  { steps, outcome }: Explanation,
): PolicyExplanation | undefined {
  const pod = snapshot.podsByAddress.get(flow.destination.address ?? "");
  if (outcome.kind !== "next" || pod?.node === undefined) return undefined;
  if (pod.node === node) return explainPolicy(snapshot, node, "ingress", connectionOf(flow, sourceOf(flow)));
  const from = arrivesFrom(snapshot.nodes.get(node), flow, steps);
  return explainPolicy(snapshot, pod.node, "ingress", connectionOf(flow, from));
}

/** Where the packet goes on, with the source that it has there. */
function outcomeFrom(self: NodeModel | undefined, flow: Flow, { steps, outcome }: Explanation): Outcome {
  const address = arrivesFrom(self, flow, steps);
  if (outcome.kind !== "next" || address === flow.source.address) return outcome;
  const alternatives = outcome.alternatives.map((one) => ({
    ...one,
    flow: { ...one.flow, source: { ...one.flow.source, address } },
  }));
  return { ...outcome, alternatives };
}

/** A node that sends IPv4 into a tunnel, for itself or for whom it masquerades, has the address of its tunnel end there. */
function arrivesFrom(self: NodeModel | undefined, { source }: Flow, steps: readonly Step[]): string {
  const tunnelled = steps.some(({ action }) => action === "encapsulate");
  const isNode = self?.addresses.includes(source.address) === true;
  return isNode && tunnelled && isIPv4(source.address) ? vtepAddress(self.podCIDR) : source.address;
}

/** The source as the rules of this node see it. */
function sourceOf({ source }: Flow): string {
  return source.masqueraded ?? source.address;
}

function connectionOf({ destination, protocol }: Flow, from: string): PolicyConnection {
  return { from, to: destination.address ?? "", protocol, port: destination.port };
}

/** Why a packet for a pod (or other) address goes where it goes. Pure; reads the same plan as the kernel got. */
import { inCidr, isIPv4, parseCidr } from "#lib/ip";
import type {
  Explanation,
  Flow,
  NodeModel,
  Outcome,
  Place,
  PodModel,
  PolicyConnection,
  Snapshot,
  Step,
} from "#model";
import { overlayRoute, podLink, podRoute, vtepAddress } from "./plan.ts";
import { explainPolicy } from "./policy/explain.ts";
import type { PolicyExplanation } from "./policy/explain.ts";
import { defaultSettings, overlayDevice, underlayDevice, vxlanId, vxlanPort } from "./settings.ts";
import type { NodeNetworkSettings } from "./settings.ts";

type NodePlace = Extract<Place, { at: "node" }>;

/**
 * The way of a packet that is to be routed by a node: to a pod here, through the overlay, out of the cluster, or nowhere; and
 * what NetworkPolicies say of it, where the source pod lives and where the destination pod lives.
 */
export function explain(
  snapshot: Snapshot,
  place: NodePlace,
  flow: Flow,
  settings: NodeNetworkSettings = defaultSettings,
): Explanation {
  const routed = route(snapshot, place, flow, settings);
  // What has no route here is refused before it is forwarded, which is when policies are asked.
  const refusedHere = routed.outcome.kind === "rejected" && routed.steps.length < 2;
  if (refusedHere || routed.steps.length === 0) return routed;
  const leaving = leavingOf(snapshot, place.node, flow);
  if (leaving?.dropped !== undefined) return end([leaving.step], leaving.dropped);
  const arriving = arrivingOf(snapshot, place.node, flow, routed);
  const before = leaving === undefined ? [] : [leaving.step];
  if (arriving === undefined) return { ...routed, steps: [...before, ...routed.steps] };
  const [delivery, way] = [routed.steps.slice(-1), routed.steps.slice(0, -1)];
  if (arriving.dropped !== undefined) return end([...before, ...way, arriving.step], arriving.dropped);
  return { ...routed, steps: [...before, ...way, arriving.step, ...delivery] };
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
  const self = snapshot.nodes.get(node);
  // A node that sends into the overlay, for itself or for whom it masquerades, has the address of its tunnel end there.
  const tunnelled = steps.some(({ action }) => action === "encapsulate");
  const isNode = self?.addresses.includes(flow.source.address) === true;
  const from = isNode && tunnelled ? vtepAddress(self.podCIDR) : flow.source.address;
  return explainPolicy(snapshot, pod.node, "ingress", connectionOf(flow, from));
}

/** The source as the rules of this node see it. */
function sourceOf({ source }: Flow): string {
  return source.masqueraded ?? source.address;
}

function connectionOf({ destination, protocol }: Flow, from: string): PolicyConnection {
  return { from, to: destination.address ?? "", protocol, port: destination.port };
}

function route(snapshot: Snapshot, place: NodePlace, flow: Flow, settings: NodeNetworkSettings): Explanation {
  const self = snapshot.nodes.get(place.node);
  const address = flow.destination.address;
  if (self === undefined) return end([], { kind: "unknown", reason: `there is no node ${place.node}` });
  if (address === undefined || !isIPv4(address)) {
    return end([], { kind: "unknown", reason: "the destination is not an IPv4 address: nothing to route" });
  }
  const host = [...snapshot.nodes.values()].find((node) => node.address === address);
  if (host !== undefined) return toNode(snapshot, self, host, flow, address);
  const pod = snapshot.podsByAddress.get(address);
  const owner = [...snapshot.nodes.values()].find((node) => inNetwork(address, node.podCIDR));
  if (owner !== undefined) {
    if (pod === undefined) return toNobody(self, owner, flow, address);
    return owner.name === self.name
      ? end([deliverStep(self, pod, flow, address)], nextAt(pod, flow))
      : throughOverlay(self, owner, pod, flow, address);
  }
  if (inNetwork(address, settings.podNetwork)) return toNobody(self, self, flow, address);
  return outside(snapshot, self, flow, address, settings);
}

function throughOverlay(
  self: NodeModel,
  owner: NodeModel,
  pod: PodModel,
  flow: Flow,
  address: string,
): Explanation {
  if (owner.vtepMac === undefined) {
    return end([step(self, "route", flow, address, { predicted: [`unreachable ${address}`] })], {
      kind: "rejected",
      reason: `node ${owner.name} has not announced its tunnel endpoint, so ${self.name} has no route to ${owner.podCIDR}`,
      mend: `look at the node agent of ${owner.name}: its Node object lacks the annotation flannel.alpha.coreos.com/backend-data`,
    });
  }
  return end(
    [encapsulateStep(self, owner, flow, address), deliverStep(owner, pod, flow, address)],
    nextAt(pod, flow),
  );
}

/** The packet travels whole inside a UDP datagram; its own addresses do not change. */
function encapsulateStep(self: NodeModel, owner: NodeModel, flow: Flow, address: string): Step {
  const mac = owner.vtepMac ?? "";
  return step(self, "encapsulate", flow, address, {
    to: `node ${owner.name} (${owner.address}:${vxlanPort})`,
    decision: {
      algorithm: "longest prefix",
      candidates: [{ name: owner.name, address: owner.address, eligible: true }],
      chosen: owner.name,
      reason: `${address} is in ${owner.podCIDR}, the pods of ${owner.name}`,
    },
    rewrites: [
      `VXLAN VNI ${vxlanId} around it: ${self.address} -> ${owner.address}:${vxlanPort}, device ${overlayDevice}`,
    ],
    predicted: [
      overlayRoute(owner),
      `${vtepAddress(owner.podCIDR)} dev ${overlayDevice} lladdr ${mac} PERMANENT`,
      `${mac} dev ${overlayDevice} dst ${owner.address} self permanent`,
    ],
  });
}

function deliverStep(node: NodeModel, pod: PodModel, flow: Flow, address: string): Step {
  const link = podLink(pod, address);
  return step(node, "route", flow, address, {
    to: `pod ${pod.namespace}/${pod.name} (${address})`,
    predicted: [podRoute(link)],
  });
}

/** A node's own address: a pod in the host's network if one says it listens there. */
function toNode(
  snapshot: Snapshot,
  self: NodeModel,
  host: NodeModel,
  flow: Flow,
  address: string,
): Explanation {
  const local = host.name === self.name;
  const predicted = [local ? `local ${address} dev lo` : `${address} dev ${underlayDevice}`];
  const steps = [step(self, "route", flow, address, { to: `node ${host.name} (${address})`, predicted })];
  const pod = [...snapshot.pods.values()].find(
    (candidate) =>
      candidate.hostNetwork &&
      candidate.node === host.name &&
      candidate.ports.some(
        ({ containerPort, protocol }) =>
          containerPort === flow.destination.port && protocol === flow.protocol,
      ),
  );
  if (pod !== undefined) return end(steps, nextAt(pod, flow));
  return end(steps, {
    kind: "unknown",
    reason: `${address} is node ${host.name} itself; no pod in its network declares port ${flow.destination.port}/${flow.protocol}`,
  });
}

function toNobody(self: NodeModel, owner: NodeModel, flow: Flow, address: string): Explanation {
  const local = owner.name === self.name;
  const steps = [
    ...(local || owner.vtepMac === undefined ? [] : [encapsulateStep(self, owner, flow, address)]),
    step(owner, "route", flow, address, { to: "nobody", predicted: [`unreachable ${owner.podCIDR}`] }),
  ];
  return end(steps, {
    kind: "rejected",
    reason: `no pod has the address ${address}: node ${owner.name} answers that the host is unreachable`,
    mend: "the address may belong to a pod that is gone; ask for the current one (kubectl get pods -o wide)",
  });
}

function outside(
  snapshot: Snapshot,
  self: NodeModel,
  flow: Flow,
  address: string,
  settings: NodeNetworkSettings,
): Explanation {
  const special = settings.routes.find(({ to }) => inNetwork(address, to));
  const via = special?.via ?? settings.underlay.address;
  const fromPod = inNetwork(flow.source.address, settings.podNetwork);
  const predicted = [`${special?.to ?? "default"} via ${via} dev ${underlayDevice}`];
  const rewrites = fromPod ? [`source ${flow.source.address} -> ${self.address} (masquerade)`] : [];
  const steps = [step(self, "route", flow, address, { to: `outside (by ${via})`, rewrites, predicted })];
  const isBalanced = [...snapshot.services.values()].some((service) =>
    service.loadBalancerIPs.includes(address),
  );
  if (isBalanced) {
    const onward = fromPod ? { ...flow, source: { address: self.address } } : flow;
    return end(steps, {
      kind: "next",
      alternatives: [{ name: "edge", place: { at: "edge" }, flow: onward }],
    });
  }
  return end(steps, {
    kind: "unknown",
    reason: `${address} lies outside the cluster; the packet leaves ${self.name} by ${via} and what answers there is not known here`,
  });
}

function nextAt(pod: PodModel, flow: Flow): Outcome {
  const name = `${pod.namespace}/${pod.name}`;
  const place: Place = { at: "pod", pod: { namespace: pod.namespace, name: pod.name } };
  return { kind: "next", alternatives: [{ name, place, flow }] };
}

function step(
  node: NodeModel,
  action: string,
  flow: Flow,
  address: string,
  details: Partial<Pick<Step, "to" | "decision" | "rewrites" | "predicted">>,
): Step {
  return {
    hop: "5-node",
    component: `node ${node.name}`,
    action,
    from: flow.source.address,
    to: `${address}:${flow.destination.port}`,
    evaluated: [],
    rewrites: [],
    predicted: [],
    ...details,
  };
}

function end(steps: readonly Step[], outcome: Outcome): Explanation {
  return { steps, outcome, assumptions: [] };
}

function inNetwork(address: string, cidr: string): boolean {
  try {
    return inCidr(address, parseCidr(cidr));
  } catch {
    return false;
  }
}

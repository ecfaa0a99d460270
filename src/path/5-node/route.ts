/** Where a node routes a packet, and why. Pure; reads the same plan as the kernel got. */
import { canonicalAddress, familyOf, isWithin, withPort } from "#lib/ip";
import { externalAddresses } from "#model";
import type { Explanation, Flow, NodeModel, Outcome, Place, PodModel, Snapshot, Step } from "#model";
import { nodeEnds, sameFamily } from "./families.ts";
import { overlayOf, overlays, unreachedReason } from "./overlay.ts";
import { podLink, podRoute } from "./pod-link.ts";
import { overlayDevice, underlayDevice, vxlanId, vxlanPort } from "./settings.ts";
import type { NodeNetworkSettings } from "./settings.ts";
import { vtepAddress } from "./vxlan.ts";

type NodePlace = Extract<Place, { at: "node" }>;

/** The way of a packet that is to be routed by a node: to a pod here, to another node, out of the cluster, or nowhere. */
export function explainRoute(
  snapshot: Snapshot,
  place: NodePlace,
  flow: Flow,
  settings: NodeNetworkSettings,
): Explanation {
  const self = snapshot.nodes.get(place.node);
  const address = canonicalAddress(flow.destination.address ?? "");
  if (self === undefined) return end([], { kind: "unknown", reason: `there is no node ${place.node}` });
  if (address === undefined) {
    return end([], { kind: "unknown", reason: "the destination is not an address: nothing to route" });
  }
  if (sameFamily(self.addresses, address) === undefined) return familyMissing(self, flow, address);
  const host = [...snapshot.nodes.values()].find((node) => node.addresses.includes(address));
  if (host === self) return toItself(snapshot, self, flow, address);
  if (host !== undefined) return toOtherHost(self, host, flow, address, settings);
  const pod = snapshot.podsByAddress.get(address);
  const owner = [...snapshot.nodes.values()].find((node) => podCIDROf(node, address) !== undefined);
  if (owner !== undefined) {
    if (owner.name !== self.name) return toOtherNode(self, owner, pod, flow, address);
    return pod === undefined
      ? toNobody([], self, flow, address)
      : end([deliverStep(self, pod, flow, address)], nextAt(pod, flow));
  }
  if (settings.podNetworks.some((network) => isWithin(address, network)))
    return toNobody([], self, flow, address);
  return outside(snapshot, self, flow, address, settings);
}

/** The pod CIDR of a node that an address lies in. */
function podCIDROf({ podCIDRs }: NodeModel, address: string): string | undefined {
  return podCIDRs.find((cidr) => isWithin(address, cidr));
}

function familyMissing(self: NodeModel, flow: Flow, address: string): Explanation {
  return end([step(self, "route", flow, address, { to: "nobody" })], {
    kind: "rejected",
    reason: `node ${self.name} has no address of the family of ${address}, so it has no route there`,
    mend: "bring the cluster up with --ip-families dual",
  });
}

function toOtherNode(
  self: NodeModel,
  owner: NodeModel,
  pod: PodModel | undefined,
  flow: Flow,
  address: string,
): Explanation {
  const unreached = unreachedReason(self, owner);
  if (unreached !== undefined) {
    return end([step(self, "route", flow, address, { predicted: [`unreachable ${address}`] })], {
      kind: "rejected",
      reason: `${unreached}, so ${self.name} has no route to ${podCIDROf(owner, address)}`,
      mend: `look at the node agent of ${owner.name} and at the annotations flannel.alpha.coreos.com/ of its Node object`,
    });
  }
  const across = acrossStep(self, owner, flow, address);
  if (pod === undefined) return toNobody([across], owner, flow, address);
  return end([across, deliverStep(owner, pod, flow, address)], nextAt(pod, flow));
}

/** From node to node: inside of a datagram, or as it is. */
function acrossStep(self: NodeModel, owner: NodeModel, flow: Flow, address: string): Step {
  const ends = nodeEnds(owner).filter(({ podCIDR }) => isWithin(address, podCIDR));
  const hop = ends[0]?.address ?? owner.address;
  const overlay = overlayOf(owner) ?? "vxlan";
  const decision = {
    algorithm: "longest prefix",
    candidates: [{ name: owner.name, address: hop, eligible: true }],
    chosen: owner.name,
    reason: `${address} is in ${podCIDROf(owner, address)}, the pods of ${owner.name}`,
  };
  const routes = ends.map((one) => overlays[overlay].route(one));
  return overlay === "vxlan"
    ? step(self, "encapsulate", flow, address, { decision, ...encapsulation(self, owner, address, routes) })
    : step(self, "route", flow, address, { decision, to: `node ${owner.name} (${hop})`, predicted: routes });
}

/** The packet travels whole inside a UDP datagram; its own addresses do not change. */
function encapsulation(
  self: NodeModel,
  owner: NodeModel,
  address: string,
  routes: readonly string[],
): Pick<Step, "to" | "rewrites" | "predicted"> {
  const mac = owner.vtepMac ?? "";
  const vtep = vtepAddress(podCIDROf(owner, address) ?? owner.podCIDR);
  return {
    to: `node ${owner.name} (${owner.address}:${vxlanPort})`,
    rewrites: [
      `VXLAN VNI ${vxlanId} around it: ${self.address} -> ${owner.address}:${vxlanPort}, device ${overlayDevice}`,
    ],
    predicted: [
      ...routes,
      `${vtep} dev ${overlayDevice} lladdr ${mac} PERMANENT`,
      `${mac} dev ${overlayDevice} dst ${owner.address} self permanent`,
    ],
  };
}

function deliverStep(node: NodeModel, pod: PodModel, flow: Flow, address: string): Step {
  const { device } = podLink(pod, pod.addresses);
  return step(node, "route", flow, address, {
    to: `pod ${pod.namespace}/${pod.name} (${address})`,
    predicted: [podRoute(address, device)],
  });
}

/** The node's own address: a pod in the host's network if one says it listens there. */
function toItself(snapshot: Snapshot, self: NodeModel, flow: Flow, address: string): Explanation {
  const steps = [
    step(self, "route", flow, address, {
      to: `node ${self.name} (${address})`,
      predicted: [`local ${address} dev lo`],
    }),
  ];
  const pod = [...snapshot.pods.values()].find(
    (candidate) =>
      candidate.hostNetwork &&
      candidate.node === self.name &&
      candidate.ports.some(
        ({ containerPort, protocol }) =>
          containerPort === flow.destination.port && protocol === flow.protocol,
      ),
  );
  if (pod !== undefined) return end(steps, nextAt(pod, flow));
  return end(steps, {
    kind: "unknown",
    reason: `${address} is node ${self.name} itself; no pod in its network declares port ${flow.destination.port}/${flow.protocol}`,
  });
}

/** Another node's address: that node's own Service rules come next, and see this node where a pod sends. */
function toOtherHost(
  self: NodeModel,
  host: NodeModel,
  flow: Flow,
  address: string,
  settings: NodeNetworkSettings,
): Explanation {
  const { rewrites, onward } = leaving(self, flow, address, settings);
  const steps = [
    step(self, "route", flow, address, {
      to: `node ${host.name} (${address})`,
      rewrites,
      predicted: [`${address} dev ${underlayDevice}`],
    }),
  ];
  const place: Place = { at: "proxy", node: host.name, from: "outside" };
  return end(steps, { kind: "next", alternatives: [{ name: host.name, place, flow: onward }] });
}

/** What leaves the pods' network by the underlay: a pod's packet bears its node's address from then on. */
function leaving(
  self: NodeModel,
  flow: Flow,
  address: string,
  settings: NodeNetworkSettings,
): { readonly rewrites: readonly string[]; readonly onward: Flow } {
  const fromPod = settings.podNetworks.some((network) => isWithin(flow.source.address, network));
  if (!fromPod) return { rewrites: [], onward: flow };
  const own = sameFamily(self.addresses, address) ?? self.address;
  return {
    rewrites: [`source ${flow.source.address} -> ${own} (masquerade)`],
    onward: { ...flow, source: { address: own } },
  };
}

function toNobody(before: readonly Step[], last: NodeModel, flow: Flow, address: string): Explanation {
  const network = podCIDROf(last, address) ?? last.podCIDR;
  const steps = [
    ...before,
    step(last, "route", flow, address, { to: "nobody", predicted: [`unreachable ${network}`] }),
  ];
  return end(steps, {
    kind: "rejected",
    reason: `no pod has the address ${address}: node ${last.name} answers that the host is unreachable`,
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
  const isBalanced = [...snapshot.services.values()].some((service) =>
    externalAddresses(service).includes(address),
  );
  const special =
    settings.routes.find(({ to }) => isWithin(address, to)) ??
    (isBalanced ? toEdge(address, settings) : undefined);
  const [bridge = ""] = (sameFamily(settings.underlay.addresses, address) ?? "").split("/");
  const via = special?.via ?? bridge;
  const predicted = [`${special?.to ?? "default"} via ${via} dev ${underlayDevice}`];
  const { rewrites, onward } = leaving(self, flow, address, settings);
  const steps = [step(self, "route", flow, address, { to: `outside (by ${via})`, rewrites, predicted })];
  if (isBalanced) {
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

/** Pools of load-balancer addresses that lie outside the usual network have routes to the edge, too. */
function toEdge(
  address: string,
  { routes }: NodeNetworkSettings,
): NodeNetworkSettings["routes"][number] | undefined {
  const edge = routes.find(({ via }) => familyOf(via) === familyOf(address));
  return edge && { to: `the pool of ${address}`, via: edge.via };
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
    to: withPort(address, flow.destination.port),
    evaluated: [],
    rewrites: [],
    predicted: [],
    ...details,
  };
}

export function end(steps: readonly Step[], outcome: Outcome): Explanation {
  return { steps, outcome, assumptions: [] };
}

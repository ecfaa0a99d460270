/** Which Kubernetes objects decide at a place, so that no finding about them is forgotten. */
import {
  externalAddresses,
  findingsAbout,
  type Finding,
  type Flow,
  hostRules,
  isolating,
  type ObjectRef,
  type Place,
  type Snapshot,
} from "#model";

interface Here {
  readonly place: Place;
  readonly flow: Flow;
}

/** The objects that decide what happens to a flow at a place. */
export function objectsAt(snapshot: Snapshot, { place, flow }: Here): readonly ObjectRef[] {
  switch (place.at) {
    case "edge":
      return serviceAt(snapshot, flow);
    case "proxy":
      return [...serviceAt(snapshot, flow), ...sourcePod(snapshot, flow)];
    case "node":
      return [{ kind: "Node", name: place.node }, ...policiesFor(snapshot, place.node, flow)];
    case "pod":
      return [{ kind: "Pod", ...place.pod }];
    case "ingress":
      return ingressesFor(snapshot, flow);
    default:
      return [];
  }
}

/** Findings about these objects; at the ingress also about Ingresses that could not be read at all. */
export function assumptionsAt(snapshot: Snapshot, here: Here): readonly Finding[] {
  const about = objectsAt(snapshot, here).flatMap((object) => findingsAbout(snapshot, object));
  if (here.place.at !== "ingress") return about;
  const unread = snapshot.findings.filter((f) => f.code === "InvalidObject" && f.object.kind === "Ingress");
  return [...about, ...unread];
}

function serviceAt(snapshot: Snapshot, { destination }: Flow): readonly ObjectRef[] {
  const { address, port } = destination;
  if (address === undefined) return [];
  const onNode = [...snapshot.nodes.values()].some((node) => node.addresses.includes(address));
  for (const service of snapshot.services.values()) {
    const owns = service.clusterIPs.includes(address) || externalAddresses(service).includes(address);
    if (owns || (onNode && service.ports.some((p) => p.nodePort === port))) {
      return [{ kind: "Service", namespace: service.namespace, name: service.name }];
    }
  }
  return [];
}

function sourcePod(snapshot: Snapshot, { source }: Flow): readonly ObjectRef[] {
  const pod = snapshot.podsByAddress.get(source.address);
  return pod === undefined ? [] : [{ kind: "Pod", namespace: pod.namespace, name: pod.name }];
}

/** The NetworkPolicies of the source pod, if it lives on this node, and of the destination pod, wherever it lives. */
function policiesFor(snapshot: Snapshot, node: string, { source, destination }: Flow): readonly ObjectRef[] {
  const from = snapshot.podsByAddress.get(source.masqueraded ?? source.address);
  const to = snapshot.podsByAddress.get(destination.address ?? "");
  const policies = [
    ...(from?.node === node ? isolating(snapshot, from, "egress") : []),
    ...(to === undefined ? [] : isolating(snapshot, to, "ingress")),
  ];
  return [...new Set(policies)].map(({ namespace, name }) => ({ kind: "NetworkPolicy", namespace, name }));
}

/**
 * The Ingresses that have rules for the host, and the matched one first. All of them count: other controllers apply
 * some annotations (canary, use-regex) to the whole host.
 */
function ingressesFor(snapshot: Snapshot, flow: Flow): readonly ObjectRef[] {
  const { matched, others } = hostRules(snapshot.routes, flow.http?.host ?? "", flow.http?.path ?? "/");
  const paths = matched === undefined ? others : [matched, ...others];
  const refs = new Map<string, ObjectRef>();
  for (const { ingress, backend } of paths) {
    refs.set(`Ingress ${ingress.namespace}/${ingress.name}`, { kind: "Ingress", ...ingress });
    if (backend.kind === "service" && matched?.backend === backend) {
      const service = { kind: "Service", namespace: backend.namespace, name: backend.service };
      refs.set(`Service ${service.namespace}/${service.name}`, service);
    }
  }
  return [...refs.values()];
}

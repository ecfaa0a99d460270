/** Why a connection to a Service is refused or met with silence, and what to do about it. */
import { isInside } from "#lib/ip";
import { findingsAbout } from "#model";
import type { Flow, Outcome, Place, ServiceModel, ServicePort, Snapshot } from "#model";
import type { VirtualAddress } from "./plan.ts";

export interface Refused {
  readonly snapshot: Snapshot;
  readonly service: ServiceModel;
  readonly port: ServicePort;
  readonly place: Extract<Place, { at: "proxy" }>;
  readonly at: VirtualAddress;
}

/** What becomes of a source that the address does not let in; undefined if it does. */
export function notLetIn(
  { sourceRanges, address, servicePort }: VirtualAddress,
  flow: Flow,
): Outcome | undefined {
  const source = flow.source.address;
  if (sourceRanges === undefined || sourceRanges.some((range) => isInside(source, range))) return undefined;
  const ranges = sourceRanges.join(", ") || "none that can be read";
  return {
    kind: "dropped",
    reason: `${source} may not connect to ${address}: loadBalancerSourceRanges of ${servicePort} are ${ranges}`,
    mend: `add a range that contains ${source} to spec.loadBalancerSourceRanges`,
  };
}

/** No endpoint may be used: `drop` where a Local policy has none on this node, `reject` where there is none at all. */
export function refusal(context: Refused, kind: "reject" | "drop"): Outcome {
  return kind === "drop" ? noneOnNode(context) : noneReady(context);
}

function noneOnNode({ service, port, place, at }: Refused): Outcome {
  const policy = at.kind === "ClusterIP" ? "internalTrafficPolicy" : "externalTrafficPolicy";
  const ready = port.endpoints.filter((endpoint) => endpoint.ready);
  const nodes = [...new Set(ready.map((endpoint) => endpoint.node ?? "unknown node"))].join(", ");
  return {
    kind: "dropped",
    reason: `${nameOf(service)} has ${policy} Local and no ready endpoint on ${place.node} (it has on: ${nodes})`,
    mend: `send to a node that has one, run a pod on ${place.node}, or set ${policy}: Cluster`,
  };
}

function noneReady({ snapshot, service, port }: Refused): Outcome {
  const { namespace, name } = service;
  const { endpoints } = port;
  const finding = findingsAbout(snapshot, { kind: "Service", namespace, name }).find(
    (f) => f.mend !== undefined,
  );
  const none = endpoints.length === 0;
  const why = none ? "it has no endpoints" : `${endpoints.length} endpoint(s), none of them ready`;
  const look = `kubectl -n ${namespace} get endpointslices -l kubernetes.io/service-name=${name}`;
  return {
    kind: "rejected",
    reason: `${nameOf(service)} has no ready endpoints: ${none ? (finding?.message ?? why) : why}`,
    mend: finding?.mend ?? `see why its pods are not ready: ${look}`,
  };
}

function nameOf({ namespace, name }: ServiceModel): string {
  return `Service ${namespace}/${name}`;
}

/**
 * Which endpoints a connection may be sent to: the one place of that truth, with the semantics of kube-proxy's
 * CategorizeEndpoints. Topology hints are not honoured (a finding says so).
 */
import type { Endpoint, ServiceModel, ServicePort } from "./types.ts";

export interface EndpointQuery {
  /** The node whose rules decide. */
  readonly node: string;
  /**
   * `internal`: to a ClusterIP. `external`: from outside to a NodePort or load-balancer address.
   * `short-circuit`: from a pod or node of the cluster to a load-balancer address, where externalTrafficPolicy Local
   * does not apply.
   */
  readonly traffic: "internal" | "external" | "short-circuit";
}

interface EndpointReason {
  readonly endpoint: Endpoint;
  readonly eligible: boolean;
  readonly reason: string;
}

export interface EndpointChoice {
  /** In the order of the Service port's endpoints. */
  readonly usable: readonly Endpoint[];
  /**
   * Says what happens when nothing is usable: true if a Local policy has no endpoint on this node while another node
   * has some (DROP), false if there is none anywhere (REJECT).
   */
  readonly policyDrop: boolean;
  /** One per endpoint of the port. */
  readonly reasons: readonly EndpointReason[];
}

/**
 * The endpoints that a new connection to this Service port may reach from `query.node`: the ready ones within the
 * traffic policy; if there are none, those that still serve while terminating; never others.
 */
export function chooseEndpoints(
  port: ServicePort,
  service: Pick<ServiceModel, "internalTrafficPolicy" | "externalTrafficPolicy">,
  query: EndpointQuery,
): EndpointChoice {
  const local = policyOf(service, query.traffic) === "Local";
  const inScope = (endpoint: Endpoint): boolean => !local || endpoint.node === query.node;
  const scope = port.endpoints.filter(inScope);
  const ready = scope.filter((endpoint) => endpoint.ready);
  const usable = ready.length > 0 ? ready : scope.filter(servesWhileTerminating);
  const anywhere = port.endpoints.some((endpoint) => endpoint.ready || servesWhileTerminating(endpoint));
  const reasons = port.endpoints.map((endpoint) => ({
    endpoint,
    eligible: usable.includes(endpoint),
    reason: inScope(endpoint)
      ? stateReason(endpoint, ready.length > 0)
      : `not on ${query.node}, and the traffic policy is Local`,
  }));
  return { usable, policyDrop: local && usable.length === 0 && anywhere, reasons };
}

/**
 * The ready endpoints that a node has of a Service, over all its ports: with externalTrafficPolicy Local what its
 * healthCheckNodePort answers depends on them (KEP-1669).
 */
export function readyOn(service: Pick<ServiceModel, "ports">, node: string): readonly Endpoint[] {
  return service.ports.flatMap(({ endpoints }) => endpoints.filter((end) => end.ready && end.node === node));
}

function policyOf(
  service: Pick<ServiceModel, "internalTrafficPolicy" | "externalTrafficPolicy">,
  traffic: EndpointQuery["traffic"],
): "Cluster" | "Local" {
  if (traffic === "internal") return service.internalTrafficPolicy;
  return traffic === "external" ? service.externalTrafficPolicy : "Cluster";
}

function servesWhileTerminating(endpoint: Endpoint): boolean {
  return !endpoint.ready && endpoint.serving && endpoint.terminating;
}

function stateReason(endpoint: Endpoint, othersReady: boolean): string {
  if (endpoint.ready) return "ready";
  if (!servesWhileTerminating(endpoint))
    return endpoint.terminating ? "terminating, not serving" : "not ready";
  return othersReady
    ? "terminating, and others are ready"
    : "terminating but still serving, and none is ready";
}

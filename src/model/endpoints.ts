/**
 * Which endpoints a connection may be sent to: the one place of that truth, with the semantics of kube-proxy's
 * CategorizeEndpoints (KEP-1669, KEP-2433, KEP-3015).
 */
import { familyOf } from "#lib/ip";
import type { Endpoint, IpFamily, ServiceModel, ServicePort } from "./types.ts";

export interface EndpointQuery {
  /** The node whose rules decide. */
  readonly node: string;
  /** The zone of that node, for topology hints. */
  readonly zone?: string | undefined;
  /** The family of the Service address: a connection never changes it. */
  readonly family: IpFamily;
  /**
   * `internal`: to a ClusterIP. `external`: from outside to a NodePort or load-balancer address.
   * `short-circuit`: from a pod or node of the cluster to a load-balancer address, where externalTrafficPolicy Local
   * does not apply.
   */
  readonly traffic: "internal" | "external" | "short-circuit";
  /** Endpoints that this node has seen not to answer (`endpointKey`). They count only where no other is left. */
  readonly silent?: ReadonlySet<string> | undefined;
}

/** `10.244.0.2:8080` */
export function endpointKey({ address, port }: Pick<Endpoint, "address" | "port">): string {
  return `${address}:${port}`;
}

/** All addresses of load balancers by which a Service is reached, routed to nodes or ending at the load balancer. */
export function externalAddresses({ loadBalancerIPs, proxiedIPs = [] }: ServiceModel): readonly string[] {
  return [...loadBalancerIPs, ...proxiedIPs];
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
  /** One per endpoint of the port and family. */
  readonly reasons: readonly EndpointReason[];
}

type Policies = Pick<ServiceModel, "internalTrafficPolicy" | "externalTrafficPolicy">;

/**
 * The endpoints that a new connection to this Service port may reach from `query.node`: the ready ones within the
 * traffic policy, or, with policy Cluster, those that topology hints mean for this node; if there are none, those that
 * still serve while terminating; never others.
 */
export function chooseEndpoints(
  port: Pick<ServicePort, "endpoints">,
  service: Policies,
  query: EndpointQuery,
): EndpointChoice {
  const all = port.endpoints.filter((endpoint) => familyOf(endpoint.address) === query.family);
  const scope = scopeOf(all, policyOf(service, query.traffic), query);
  const inScope = all.filter(scope.has);
  const ready = inScope.filter((endpoint) => endpoint.ready);
  const wanted = ready.length > 0 ? ready : inScope.filter(servesWhileTerminating);
  const answering = wanted.filter((endpoint) => query.silent?.has(endpointKey(endpoint)) !== true);
  const usable = answering.length > 0 ? answering : wanted;
  const anywhere = all.some((endpoint) => endpoint.ready || servesWhileTerminating(endpoint));
  const reasons = all.map((endpoint) => ({
    endpoint,
    eligible: usable.includes(endpoint),
    reason: !scope.has(endpoint)
      ? scope.otherwise
      : wanted.includes(endpoint) && !usable.includes(endpoint)
        ? `connections of ${query.node} get no answer from it`
        : stateReason(endpoint, ready.length > 0),
  }));
  return { usable, policyDrop: scope.local && usable.length === 0 && anywhere, reasons };
}

/**
 * The ready endpoints that a node has of a Service, over all its ports: with externalTrafficPolicy Local what its
 * healthCheckNodePort answers depends on them (KEP-1669). There is one such port, so one family counts: the primary one.
 */
export function readyOn(
  { clusterIPs, ports }: Pick<ServiceModel, "clusterIPs" | "ports">,
  node: string,
): readonly Endpoint[] {
  const family = familyOf(clusterIPs[0] ?? "");
  const isReady = (end: Endpoint): boolean =>
    end.ready && end.node === node && familyOf(end.address) === family;
  return ports.flatMap(({ endpoints }) => endpoints.filter(isReady));
}

function policyOf(service: Policies, traffic: EndpointQuery["traffic"]): "Cluster" | "Local" {
  if (traffic === "internal") return service.internalTrafficPolicy;
  return traffic === "external" ? service.externalTrafficPolicy : "Cluster";
}

interface Scope {
  readonly local: boolean;
  readonly has: (endpoint: Endpoint) => boolean;
  /** Why an endpoint outside does not count. */
  readonly otherwise: string;
}

function scopeOf(all: readonly Endpoint[], policy: "Cluster" | "Local", query: EndpointQuery): Scope {
  const { node, zone } = query;
  if (policy === "Local") {
    const otherwise = `not on ${node}, and the traffic policy is Local`;
    return { local: true, has: (endpoint) => endpoint.node === node, otherwise };
  }
  const ready = all.filter((endpoint) => endpoint.ready);
  const hinted = hintedFor(ready, "nodes", node) ?? hintedFor(ready, "zones", zone);
  if (hinted === undefined) return { local: false, has: () => true, otherwise: "" };
  const otherwise = `not meant for ${hinted.level === "nodes" ? `node ${node}` : `zone ${zone}`} (topology hints)`;
  // Those that only serve while terminating count where no endpoint is ready; then hints are not looked at.
  return { local: false, has: (endpoint) => !endpoint.ready || hinted.endpoints.has(endpoint), otherwise };
}

/** Hints count if every ready endpoint has one and at least one is for this place. */
function hintedFor(
  ready: readonly Endpoint[],
  level: "nodes" | "zones",
  place: string | undefined,
): { readonly level: typeof level; readonly endpoints: ReadonlySet<Endpoint> } | undefined {
  if (place === undefined || ready.some((endpoint) => (endpoint.hints?.[level] ?? []).length === 0)) {
    return undefined;
  }
  const endpoints = new Set(ready.filter((endpoint) => endpoint.hints?.[level].includes(place)));
  return endpoints.size === 0 ? undefined : { level, endpoints };
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

/** What one Service asks of the rules of a node: pure. */
import { familyOf, isInside, withoutContained } from "#lib/ip";
import { chooseEndpoints } from "#model";
import type { Endpoint, EndpointQuery, IpFamily, ServiceModel, ServicePort, Snapshot } from "#model";
import { addressKey, servicePortKey } from "./keys.ts";
import type { EndpointList, PlanOptions, Target, VirtualAddress } from "./plan.ts";
import { backendKey } from "./rotation.ts";
import type { Backend } from "./rotation.ts";

/** What one Service asks for; the endpoints of its lists are in the model's order. */
export interface ServicePlan {
  readonly lists: readonly EndpointList[];
  /** With their keys. */
  readonly addresses: readonly (readonly [string, VirtualAddress])[];
  readonly hairpin: readonly string[];
}

type NodeContext = Omit<PortContext, "service" | "port">;

/**
 * What Services came to, by all that decides it beside the Service itself. A model of a Service is never changed, so this is
 * not planned again: the change of one Service among thousands costs little more than a walk over the others.
 */
const known = new Map<string, WeakMap<ServiceModel, ServicePlan>>();

/** More contexts than these have been left behind by changed nodes and options. */
const MOST_CONTEXTS = 64;

export function servicePlans(context: NodeContext): (service: ServiceModel) => ServicePlan {
  const { snapshot, node, options } = context;
  const { addresses = [], zone } = snapshot.nodes.get(node) ?? {};
  const { silent, ...others } = options;
  const key = JSON.stringify([node, zone, addresses, others]);
  if (known.size >= MOST_CONTEXTS && !known.has(key)) known.clear();
  const kept = known.get(key) ?? new WeakMap<ServiceModel, ServicePlan>();
  known.set(key, kept);
  return (service) => {
    // Which endpoints answer, and the weights of pods, are no part of a Service's model.
    if ((silent?.size ?? 0) > 0 || service.scheduler === "wrr") return planService(context, service);
    const before = kept.get(service);
    if (before !== undefined) return before;
    const plan = planService(context, service);
    kept.set(service, plan);
    return plan;
  };
}

function planService(context: NodeContext, service: ServiceModel): ServicePlan {
  const ports = service.ports.map((port) => planPort({ ...context, service, port }));
  const local = ({ node }: Endpoint): boolean => node === undefined || node === context.node;
  return {
    lists: ports.flatMap(({ lists }) => lists),
    addresses: ports.flatMap(({ addresses }) => addresses.map((at) => [addressKey(at), at] as const)),
    hairpin: ports.flatMap(({ reachable }) => reachable.filter(local).map(({ address }) => address)),
  };
}

interface PlannedPort {
  readonly lists: readonly EndpointList[];
  readonly addresses: readonly VirtualAddress[];
  readonly reachable: readonly Endpoint[];
}

interface PortContext {
  readonly snapshot: Snapshot;
  readonly node: string;
  readonly options: PlanOptions;
  readonly service: ServiceModel;
  readonly port: ServicePort;
}

/** Both families of a Service port, each with lists of its own. */
function planPort(context: PortContext): PlannedPort {
  const all = addressesOf(context);
  const families = new Set(all.map((at) => familyOf(at.address)));
  const planned = [...families].map((family) =>
    planFamily(
      context,
      family,
      all.filter((at) => familyOf(at.address) === family),
    ),
  );
  return {
    lists: planned.flatMap(({ lists }) => lists),
    addresses: planned.flatMap(({ addresses }) => addresses),
    reachable: planned.flatMap(({ reachable }) => reachable),
  };
}

function planFamily(context: PortContext, family: IpFamily, places: readonly AddressAt[]): PlannedPort {
  const { snapshot, node, options, service, port } = context;
  const servicePort = servicePortKey(service, port);
  const listKey = family === "IPv6" ? `${servicePort} ipv6` : servicePort;
  const zone = snapshot.nodes.get(node)?.zone;
  const lists = new Map<string, EndpointList>();
  const choose = (traffic: EndpointQuery["traffic"]) =>
    chooseEndpoints(port, service, { node, zone, family, traffic, silent: options.silent });
  const everywhere = choose("short-circuit").usable;
  const reachable = new Set<Endpoint>();
  const target = (traffic: EndpointQuery["traffic"]): Target => {
    const choice = choose(traffic);
    if (choice.usable.length === 0) return { kind: choice.policyDrop ? "drop" : "reject" };
    const key = sameEndpoints(choice.usable, everywhere) ? listKey : `${listKey} local`;
    lists.set(key, listOf(key, family, context, choice.usable));
    for (const endpoint of choice.usable) reachable.add(endpoint);
    return { kind: "list", list: key };
  };
  const addresses = places.map((at): VirtualAddress => {
    const base = { servicePort, protocol: port.protocol, ...at };
    if (at.kind === "ClusterIP") {
      const masquerade = options.masqueradeAll === true ? "everybody" : "not-pods";
      return { ...base, target: target("internal"), masquerade };
    }
    const bound = { ...base, ...sourceRangesOf(context, at) };
    if (service.externalTrafficPolicy === "Cluster") {
      return { ...bound, target: target("external"), masquerade: "everybody" };
    }
    return { ...bound, target: target("external"), inside: target("short-circuit"), masquerade: "node-only" };
  });
  return { lists: [...lists.values()], addresses, reachable: [...reachable] };
}

/**
 * Source ranges bind load-balancer addresses only, not node ports. Where the address is one of the node's own, the
 * node's connections to it have it as their source, too: so it is let in wherever the node is (as kube-proxy does).
 */
function sourceRangesOf(
  { snapshot, node, service }: PortContext,
  { kind, address }: AddressAt,
): Pick<VirtualAddress, "sourceRanges"> {
  const family = familyOf(address);
  const ranges = service.sourceRanges?.filter((range) => familyOf(range) === family);
  if (kind !== "LoadBalancer" || ranges === undefined || ranges.some((range) => range.endsWith("/0"))) {
    return {};
  }
  const own = snapshot.nodes.get(node)?.addresses ?? [];
  const withNode = own.some((nodeAddress) => ranges.some((range) => isInside(nodeAddress, range)));
  const itself = withNode ? [`${address}/${family === "IPv4" ? 32 : 128}`] : [];
  return { sourceRanges: withoutContained([...ranges, ...itself]) };
}

function listOf(
  key: string,
  family: IpFamily,
  { snapshot, service, port: { protocol } }: PortContext,
  endpoints: readonly Endpoint[],
): EndpointList {
  const { affinityTimeoutSeconds: affinitySeconds, scheduler = "rr" } = service;
  const affinity = affinitySeconds === undefined ? {} : { affinitySeconds };
  const weights = scheduler === "wrr" ? { weights: weightsOf(snapshot, endpoints) } : {};
  return { key, family, protocol, scheduler, ...affinity, ...weights, slots: endpoints.map(backendOf) };
}

function weightsOf(snapshot: Snapshot, endpoints: readonly Endpoint[]): ReadonlyMap<string, number> {
  return new Map(
    endpoints.flatMap((endpoint) => {
      const { pod } = endpoint;
      const weight = pod && snapshot.pods.get(`${pod.namespace}/${pod.name}`)?.weight;
      return weight === undefined ? [] : [[backendKey(endpoint), weight] as const];
    }),
  );
}

type AddressAt = Pick<VirtualAddress, "kind" | "address" | "port">;

function addressesOf({ snapshot, node, options, service, port }: PortContext): readonly AddressAt[] {
  const all = (
    kind: VirtualAddress["kind"],
    addresses: readonly string[],
    at: number | undefined,
  ): AddressAt[] => (at === undefined ? [] : addresses.map((address) => ({ kind, address, port: at })));
  // A node port belongs to the families of its Service.
  const families = new Set(service.clusterIPs.map(familyOf));
  const { nodePortAddresses = snapshot.nodes.get(node)?.addresses ?? [] } = options;
  const nodeAddresses = nodePortAddresses.filter((a) => families.has(familyOf(a)));
  return [
    ...all("ClusterIP", service.clusterIPs, port.port),
    ...all("NodePort", nodeAddresses, port.nodePort),
    ...all("LoadBalancer", service.loadBalancerIPs, port.port),
    ...all("ExternalIP", options.externalIPs === true ? (service.externalIPs ?? []) : [], port.port),
  ];
}

function sameEndpoints(some: readonly Endpoint[], all: readonly Endpoint[]): boolean {
  return some.length === all.length && some.every((endpoint) => all.includes(endpoint));
}

function backendOf({ address, port }: Endpoint): Backend {
  return { address, port };
}

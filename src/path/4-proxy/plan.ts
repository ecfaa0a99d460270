/**
 * What the Service rules of one node must be, for any kind of rules: pure. Which endpoints count is decided by the
 * model (`chooseEndpoints`); here it is decided which address leads to which list, and whose source is rewritten
 * (semantics of kube-proxy: "Virtual IPs and Service Proxies" in the Kubernetes documentation, KEP-3866).
 */
import { familyOf } from "#lib/ip";
import { chooseEndpoints, readyOn } from "#model";
import type {
  Endpoint,
  EndpointQuery,
  IpFamily,
  Protocol,
  Scheduler,
  ServiceModel,
  ServicePort,
  Snapshot,
} from "#model";
import { backendKey, firstSlots, nextSlots } from "./rotation.ts";
import type { Backend, Rotation } from "./rotation.ts";

/** What carries a plan out: rules of the node's kernel, or this process. */
export type KernelMode = "nftables" | "iptables";
export type ProxyMode = KernelMode | "userspace";

/** The endpoints of a Service port that share one turn counter. */
export interface EndpointList {
  /** Service port; followed by ` ipv6` for that family's, and ` local` for the endpoints of this node only. */
  readonly key: string;
  readonly family: IpFamily;
  readonly protocol: Protocol;
  readonly scheduler: Scheduler;
  /** A client that comes again within this time after its last connection meets the same endpoint; undefined: no affinity. */
  readonly affinitySeconds?: number;
  /** With scheduler `wrr`: by `backendKey`, for endpoints whose pods have a weight; the others have 1. */
  readonly weights?: ReadonlyMap<string, number>;
  readonly slots: readonly Backend[];
}

export type Target =
  | { readonly kind: "list"; readonly list: string }
  | { readonly kind: "reject" }
  | { readonly kind: "drop" };

export interface VirtualAddress {
  /** `default/api-service:http/TCP`; a port without a name is called by its number. */
  readonly servicePort: string;
  readonly kind: "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalIP";
  readonly address: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly target: Target;
  /** Where connections of pods and of the node itself go instead (externalTrafficPolicy Local binds only outsiders). */
  readonly inside?: Target;
  /** Who may connect, by network of this family; undefined: everybody (loadBalancerSourceRanges). */
  readonly sourceRanges?: readonly string[];
  /** Whose source address is rewritten: everybody's, everybody's but a pod's, the node's own only (Local). */
  readonly masquerade: "everybody" | "not-pods" | "node-only";
}

/** A Service with externalTrafficPolicy Local tells load balancers whether this node has endpoints. */
export interface HealthCheck {
  readonly namespace: string;
  readonly name: string;
  /** healthCheckNodePort */
  readonly port: number;
  /** Ready endpoints on this node, by address. */
  readonly localEndpoints: number;
}

export interface ProxyPlan {
  readonly node: string;
  /** Pod CIDRs of all nodes: a source in them is a pod. */
  readonly podNetworks: readonly string[];
  readonly lists: ReadonlyMap<string, EndpointList>;
  /** By `addressKey`. */
  readonly addresses: ReadonlyMap<string, VirtualAddress>;
  /** Addresses of endpoints that may meet themselves through a Service on this node. */
  readonly hairpin: readonly string[];
  readonly healthChecks: readonly HealthCheck[];
}

/** What the one who starts the proxy decides. */
export interface PlanOptions {
  /** Serve spec.externalIPs: whoever may write Services can then take over any address (CVE-2020-8554). */
  readonly externalIPs?: boolean;
  /** Endpoints that do not answer connections of this node (`silent.ts`). */
  readonly silent?: ReadonlySet<string> | undefined;
}

/** `10.96.0.10 . udp . 53`, which is also how nftables writes it. */
export function addressKey(at: { address: string; protocol: Protocol; port: number }): string {
  return `${at.address} . ${at.protocol.toLowerCase()} . ${at.port}`;
}

/** `default/api-service:http/TCP` */
export function servicePortKey(service: ServiceModel, port: ServicePort): string {
  return `${service.namespace}/${service.name}:${port.name === "" ? port.port : port.name}/${port.protocol}`;
}

/**
 * The plan of `node` for a snapshot.
 * @param previous the lists in force, so that endpoints keep their turns; lists that are not in it begin anew.
 */
export function planProxy(
  snapshot: Snapshot,
  node: string,
  previous: ReadonlyMap<string, Rotation> = new Map(),
  options: PlanOptions = {},
): ProxyPlan {
  const lists = new Map<string, EndpointList>();
  const addresses = new Map<string, VirtualAddress>();
  const hairpin = new Set<string>();
  for (const service of sortedServices(snapshot)) {
    for (const port of service.ports) {
      const planned = planPort({ snapshot, node, options, service, port });
      for (const list of planned.lists) {
        lists.set(list.key, { ...list, slots: slotsOf(list, node, previous.get(list.key)) });
      }
      // Where two Services claim one address, the first by name has it.
      for (const at of planned.addresses)
        if (!addresses.has(addressKey(at))) addresses.set(addressKey(at), at);
      for (const endpoint of planned.reachable) {
        if (endpoint.node === undefined || endpoint.node === node) hairpin.add(endpoint.address);
      }
    }
  }
  return {
    node,
    podNetworks: [...snapshot.nodes.values()].flatMap((n) => n.podCIDRs),
    lists,
    addresses,
    hairpin: [...hairpin],
    healthChecks: sortedServices(snapshot).flatMap((service) => healthCheckOf(service, node)),
  };
}

/** Services that have addresses of their own, in the order of their names. */
function sortedServices(snapshot: Snapshot): readonly ServiceModel[] {
  return [...snapshot.services.entries()]
    .filter(([, service]) => service.clusterIPs.length > 0 && !service.headless)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, service]) => service);
}

function slotsOf(list: EndpointList, node: string, previous: Rotation | undefined): readonly Backend[] {
  return previous === undefined ? firstSlots(list.slots, node, list.key) : nextSlots(previous, list.slots);
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
  const target = (traffic: EndpointQuery["traffic"]): Target => {
    const choice = choose(traffic);
    if (choice.usable.length === 0) return { kind: choice.policyDrop ? "drop" : "reject" };
    const key = sameEndpoints(choice.usable, everywhere) ? listKey : `${listKey} local`;
    lists.set(key, listOf(key, family, context, choice.usable));
    return { kind: "list", list: key };
  };
  const sourceRanges = service.sourceRanges?.filter((range) => familyOf(range) === family);
  const addresses = places.map((at): VirtualAddress => {
    const base = { servicePort, protocol: port.protocol, ...at };
    if (at.kind === "ClusterIP") return { ...base, target: target("internal"), masquerade: "not-pods" };
    const bound = at.kind === "LoadBalancer" && sourceRanges !== undefined ? { ...base, sourceRanges } : base;
    if (service.externalTrafficPolicy === "Cluster") {
      return { ...bound, target: target("external"), masquerade: "everybody" };
    }
    return { ...bound, target: target("external"), inside: target("short-circuit"), masquerade: "node-only" };
  });
  return { lists: [...lists.values()], addresses, reachable: everywhere };
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
  const nodeAddresses = (snapshot.nodes.get(node)?.addresses ?? []).filter((a) => families.has(familyOf(a)));
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

function healthCheckOf(service: ServiceModel, node: string): readonly HealthCheck[] {
  const { namespace, name, healthCheckNodePort: port } = service;
  if (port === undefined || service.externalTrafficPolicy !== "Local") return [];
  // An endpoint of both families counts once.
  const family = familyOf(service.clusterIPs[0] ?? "");
  const ready = readyOn(service, node).filter((endpoint) => familyOf(endpoint.address) === family);
  const addresses = new Set(ready.map((endpoint) => endpoint.address));
  return [{ namespace, name, port, localEndpoints: addresses.size }];
}

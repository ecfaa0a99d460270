/**
 * What the Service rules of one node must be, for any kind of rules: pure. Which endpoints count is decided by the
 * model (`chooseEndpoints`); here it is decided which address leads to which list, and whose source is rewritten
 * (semantics of kube-proxy: "Virtual IPs and Service Proxies" in the Kubernetes documentation, KEP-3866).
 */
import { familyOf, withoutContained } from "#lib/ip";
import { podNetworks, readyOn } from "#model";
import type { IpFamily, Protocol, Scheduler, ServiceModel, Snapshot } from "#model";
import { servicePlans } from "./plan-service.ts";
import { backendKey, firstSlots, nextSlots } from "./rotation.ts";
import type { Backend, Rotation } from "./rotation.ts";
import { hashSlots, weightedTurns } from "./spread.ts";

export { addressKey, servicePortKey } from "./keys.ts";

/** What carries a plan out: rules of the node's kernel, or this process. */
export type KernelMode = "nftables" | "iptables" | "ipvs";
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
  /** Who takes which turn; each endpoint once, unless the scheduler is carried out by slots (`PlanOptions`). */
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
  /**
   * Who may connect, by network of this family, none inside another; undefined: everybody (loadBalancerSourceRanges).
   * Looked at before the destination is rewritten.
   */
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
  /** InternalIPs of all nodes. */
  readonly nodeAddresses: readonly string[];
  /** The families that Services have addresses or networks of; the other one needs no rules. */
  readonly families: readonly IpFamily[];
  /** Pod CIDRs of all nodes, none inside another: a source in them is a pod. */
  readonly podNetworks: readonly string[];
  /** Networks that ClusterIPs are taken from: an address in them that no Service has leads nowhere. */
  readonly serviceNetworks: readonly string[];
  readonly lists: ReadonlyMap<string, EndpointList>;
  /** By `addressKey`. */
  readonly addresses: ReadonlyMap<string, VirtualAddress>;
  /** Addresses of endpoints that may meet themselves through a Service on this node. */
  readonly hairpin: readonly string[];
  readonly healthChecks: readonly HealthCheck[];
}

/** The lists in force, by their keys. */
export type Rotations = Pick<ReadonlyMap<string, Rotation>, "get">;

/** What the one who starts the proxy decides. */
export interface PlanOptions {
  /** Serve spec.externalIPs: whoever may write Services can then take over any address (CVE-2020-8554). */
  readonly externalIPs?: boolean;
  /** Endpoints that do not answer connections of this node (`silent.ts`). */
  readonly silent?: ReadonlySet<string> | undefined;
  /** Addresses of the node at which node ports are open; its InternalIPs if not said. */
  readonly nodePortAddresses?: readonly string[];
  /** Rewrite the source of every connection to a ClusterIP, also of pods. */
  readonly masqueradeAll?: boolean;
  /** Schedulers that are carried out by the slots of a list (`spread.ts`). */
  readonly slotSchedulers?: readonly Scheduler[];
}

/** The part of a plan that concerns one family. */
export interface FamilyPlan {
  readonly family: IpFamily;
  readonly podNetworks: readonly string[];
  readonly serviceNetworks: readonly string[];
  readonly lists: ReadonlyMap<string, EndpointList>;
  readonly addresses: ReadonlyMap<string, VirtualAddress>;
  readonly hairpin: readonly string[];
}

export function familyPlan(plan: ProxyPlan, family: IpFamily): FamilyPlan {
  const own = (address: string): boolean => familyOf(address) === family;
  const networks = {
    family,
    podNetworks: plan.podNetworks.filter(own),
    serviceNetworks: plan.serviceNetworks.filter(own),
  };
  // Most clusters have one family; their plan need not be copied.
  if (plan.families.length === 1 && plan.families[0] === family) return { ...plan, ...networks };
  return {
    ...networks,
    lists: new Map([...plan.lists].filter(([, list]) => list.family === family)),
    addresses: new Map([...plan.addresses].filter(([, at]) => own(at.address))),
    hairpin: plan.hairpin.filter(own),
  };
}

/** The ports of a list's endpoints: mostly one; several where a named targetPort differs between pods. */
export function portsOf({ slots }: Pick<EndpointList, "slots">): readonly number[] {
  return [...new Set(slots.map(({ port }) => port))].sort((a, b) => a - b);
}

/**
 * The plan of `node` for a snapshot.
 * @param previous the lists in force, so that endpoints keep their turns; lists that are not in it begin anew.
 */
export function planProxy(
  snapshot: Snapshot,
  node: string,
  previous: Rotations = new Map(),
  options: PlanOptions = {},
): ProxyPlan {
  const lists = new Map<string, EndpointList>();
  const addresses = new Map<string, VirtualAddress>();
  const hairpin = new Set<string>();
  const services = sortedServices(snapshot);
  const plans = servicePlans({ snapshot, node, options });
  for (const service of services) {
    const planned = plans(service);
    for (const list of planned.lists)
      lists.set(list.key, inTurn(list, node, previous.get(list.key), options));
    // Where two Services claim one address, the first by name has it.
    for (const [key, at] of planned.addresses) if (!addresses.has(key)) addresses.set(key, at);
    for (const address of planned.hairpin) hairpin.add(address);
  }
  const serviceNetworks = withoutContained(snapshot.serviceCIDRs ?? []);
  return {
    node,
    nodeAddresses: [...snapshot.nodes.values()].flatMap((n) => n.addresses),
    families: familiesOf(addresses.values(), serviceNetworks),
    podNetworks: podNetworks(snapshot.nodes),
    serviceNetworks,
    lists,
    addresses,
    hairpin: [...hairpin],
    healthChecks: services.flatMap((service) => healthCheckOf(service, node)),
  };
}

function familiesOf(addresses: Iterable<VirtualAddress>, networks: readonly string[]): readonly IpFamily[] {
  const found = new Set<IpFamily>(networks.map(familyOf));
  for (const { address } of addresses) found.add(familyOf(address));
  return [...found].sort();
}

/** Services that have addresses of their own, in the order of their names. A snapshot mostly has them in that order. */
function sortedServices({ services }: Pick<Snapshot, "services">): readonly ServiceModel[] {
  const found: ServiceModel[] = [];
  let last = "";
  for (const [key, service] of services) {
    if (key < last) return sortedServices({ services: inKeyOrder(services) });
    last = key;
    if (service.clusterIPs.length > 0 && !service.headless) found.push(service);
  }
  return found;
}

function slotsOf(
  { key, scheduler, weights, slots }: EndpointList,
  node: string,
  previous: Rotation | undefined,
  { slotSchedulers = [] }: PlanOptions,
): readonly Backend[] {
  const bySlots = slotSchedulers.includes(scheduler);
  if (bySlots && scheduler === "sh") {
    const table = hashSlots(slots);
    return previous !== undefined && sameSlots(previous.slots, table) ? previous.slots : table;
  }
  const turns = bySlots && scheduler === "wrr" ? weightedTurns(slots, weights ?? new Map()) : slots;
  return previous === undefined ? firstSlots(turns, node, key) : nextSlots(previous, turns);
}

function sameSlots(some: readonly Backend[], others: readonly Backend[]): boolean {
  return (
    some.length === others.length &&
    some.every((slot, i) => backendKey(slot) === backendKey(others[i] ?? slot))
  );
}

function inKeyOrder(services: Snapshot["services"]): Snapshot["services"] {
  return new Map([...services].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The last list that was made of a planned one, so that what has not changed is the same object. */
const inOrder = new WeakMap<EndpointList, EndpointList>();

/** The list with its endpoints in the order of their turns. */
function inTurn(
  planned: EndpointList,
  node: string,
  previous: Rotation | undefined,
  options: PlanOptions,
): EndpointList {
  const last = inOrder.get(planned);
  if (last !== undefined && last.slots === previous?.slots) return last;
  const list = { ...planned, slots: slotsOf(planned, node, previous, options) };
  inOrder.set(planned, list);
  return list;
}

function healthCheckOf(service: ServiceModel, node: string): readonly HealthCheck[] {
  const { namespace, name, healthCheckNodePort: port } = service;
  if (port === undefined || service.externalTrafficPolicy !== "Local") return [];
  const addresses = new Set(readyOn(service, node).map((endpoint) => endpoint.address));
  return [{ namespace, name, port, localEndpoints: addresses.size }];
}

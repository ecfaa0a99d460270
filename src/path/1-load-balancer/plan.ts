/** Which nodes may get the new connections of each load-balancer address. Pure: snapshot and health in, decision out. */
import { familyOf } from "#lib/ip";
import { externalAddresses, readyOn } from "#model";
import type {
  Candidate,
  LoadBalancerAlgorithm,
  NodeModel,
  Protocol,
  ProxyProtocol,
  ServiceModel,
  ServicePort,
  Snapshot,
} from "#model";

/** kube-proxy's own health port (KEP-3836), asked for Services with externalTrafficPolicy Cluster. */
const HEALTHZ_PORT = 10256;

/** One question that is asked of a node again and again. */
export interface HealthTarget {
  readonly node: string;
  readonly address: string;
  readonly port: number;
}

export type Health =
  | { readonly state: "healthy" }
  /** The node answers, but wants no new connections; established ones go on. */
  | { readonly state: "unhealthy"; readonly reason: string }
  /** It passed its check, and is not heard of any more: it may come back, so that established connections may wait. */
  | { readonly state: "silent"; readonly reason: string }
  /** Nothing comes back from the node for long: its established connections are dead, too. */
  | { readonly state: "gone"; readonly reason: string }
  | { readonly state: "unknown" };

/** What is known of a target. */
export type HealthOf = (target: HealthTarget) => Health;

export interface VipPort {
  readonly service: string;
  readonly address: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly policy: "Cluster" | "Local";
  readonly algorithm: LoadBalancerAlgorithm;
  /** Connections end here, and are made anew to the node. Absent: their packets are routed. */
  readonly proxy?: Proxying;
  readonly check: { readonly port: number };
  /** Every node of the cluster, sorted by name. */
  readonly candidates: readonly Candidate[];
}

export interface Proxying {
  /** What is said to the endpoint first. */
  readonly version: ProxyProtocol;
  /** Where the nodes are reached. */
  readonly nodePort: number;
  /** Who may connect: nodes see the load balancer's address only. Absent: everybody. */
  readonly sourceRanges?: readonly string[];
}

export interface LoadBalancerPlan {
  /** Sorted by address, protocol, port. */
  readonly ports: readonly VipPort[];
  /** Sorted by name. */
  readonly nodes: readonly { readonly name: string; readonly addresses: readonly string[] }[];
  /** Names of nodes whose established connections are dead. */
  readonly gone: readonly string[];
  readonly targets: readonly HealthTarget[];
}

/** The plan; `healthOf` tells what the health checker knows. */
export function planLoadBalancer(snapshot: Snapshot, healthOf: HealthOf): LoadBalancerPlan {
  const nodes = sortedNodes(snapshot);
  const services = [...snapshot.services.values()].filter(isBalanced);
  const ports = services.flatMap((service) => planService(service, nodes, healthOf)).sort(byVip);
  const targets = targetsOf(services, nodes);
  return {
    ports,
    nodes: nodes.map(({ name, addresses }) => ({ name, addresses })),
    gone: nodes.map(({ name }) => name).filter((name) => isGone(name, targets, healthOf)),
    targets,
  };
}

/**
 * The health that nodes tell of, as far as the snapshot decides it: a node that is about to leave says 503 (KEP-3836), and so
 * does one without ready endpoints of a Service with externalTrafficPolicy Local (KEP-1669).
 */
export function predictedHealth(snapshot: Snapshot): HealthOf {
  const byPort = new Map([...snapshot.services.values()].map((service) => [checkPort(service), service]));
  return ({ node, port }) => {
    const service = port === HEALTHZ_PORT ? undefined : byPort.get(port);
    const healthy =
      service === undefined ? snapshot.nodes.get(node)?.leaving !== true : readyOn(service, node).length > 0;
    return healthy ? { state: "healthy" } : { state: "unhealthy", reason: "answers 503" };
  };
}

/** Services of ours that have a load-balancer address. */
export function isBalanced(service: ServiceModel): boolean {
  const { type, foreignClass } = service;
  return type === "LoadBalancer" && foreignClass === undefined && externalAddresses(service).length > 0;
}

/**
 * How connections to an address and port of a Service are passed on; undefined where packets are routed, `refused` where the
 * address is for the PROXY protocol, and the port cannot be served so (see the findings of `proxyProtocolNotes`).
 */
function proxyingOf(
  { proxiedIPs = [], proxyProtocol, sourceRanges }: ServiceModel,
  address: string,
  { protocol, nodePort }: ServicePort,
): Proxying | "refused" | undefined {
  if (!proxiedIPs.includes(address)) return undefined;
  if (proxyProtocol === undefined || protocol !== "TCP" || nodePort === undefined) return "refused";
  return { version: proxyProtocol, nodePort, ...(sourceRanges === undefined ? {} : { sourceRanges }) };
}

/** The part of the plan that one of these Services has; `nodes` sorted by name. */
export function planService(
  service: ServiceModel,
  nodes: readonly NodeModel[],
  healthOf: HealthOf,
): VipPort[] {
  const check = { port: checkPort(service) };
  return externalAddresses(service).flatMap((address) => {
    const health = (node: NodeModel): Health => healthOf({ ...place(node), port: check.port });
    const checked = nodes.map((node) => candidateOf(service, node, address, health(node)));
    const candidates = checked.some(({ eligible }) => eligible)
      ? checked
      : nodes.map((node, index) => inNeed(checked[index], service, node, address, health(node)));
    return service.ports.flatMap((one) => {
      const proxy = proxyingOf(service, address, one);
      if (proxy === "refused") return [];
      return {
        service: `${service.namespace}/${service.name}`,
        address,
        protocol: one.protocol,
        port: one.port,
        policy: service.externalTrafficPolicy,
        algorithm: algorithmOf(service),
        ...(proxy === undefined ? {} : { proxy }),
        check,
        candidates,
      };
    });
  });
}

function algorithmOf({ loadBalancerAlgorithm = "round-robin" }: ServiceModel): LoadBalancerAlgorithm {
  return loadBalancerAlgorithm;
}

function place({ name, address }: NodeModel): { node: string; address: string } {
  return { node: name, address };
}

/** Local: the Service's own port, which says whether the node has ready endpoints (KEP-1669). */
function checkPort(service: ServiceModel): number {
  const own = service.externalTrafficPolicy === "Local" ? service.healthCheckNodePort : undefined;
  return own ?? HEALTHZ_PORT;
}

function candidateOf(service: ServiceModel, node: NodeModel, vip: string, health: Health): Candidate {
  const { name } = node;
  const address = addressFor(node, vip);
  const barred = passedOver(service, node, vip);
  if (barred !== undefined) return { name, address, eligible: false, reason: barred };
  switch (health.state) {
    case "healthy":
      return { name, address, eligible: true, reason: "healthy" };
    case "unknown":
      return { name, address, eligible: false, reason: "not checked yet" };
    default:
      return { name, address, eligible: false, reason: `${health.state}: ${health.reason}` };
  }
}

/**
 * Where no node is eligible, some are better than none: those whose silence may be a mistake (all at once rather are not
 * dead), and those whose endpoints still serve while they terminate. The rules of the latter send connections to them until
 * the node that takes over has passed its check (KEP-1669).
 */
function inNeed(
  checked: Candidate | undefined,
  service: ServiceModel,
  node: NodeModel,
  vip: string,
  health: Health,
): Candidate {
  const candidate = checked ?? candidateOf(service, node, vip, health);
  const reason = needed(service, node, vip, health);
  return reason === undefined ? candidate : { ...candidate, eligible: true, reason };
}

/** Why a node that is not eligible is better than none; undefined if it is not. */
function needed(service: ServiceModel, node: NodeModel, vip: string, health: Health): string | undefined {
  if (health.state === "gone" || barredReason(node, vip) !== undefined) return undefined;
  if (health.state === "silent" && passedOver(service, node, vip) === undefined) {
    return "silent, but no node is heard of";
  }
  const serves = service.ports.some(({ endpoints }) =>
    endpoints.some((end) => end.node === node.name && end.serving && end.terminating),
  );
  return serves ? "its endpoints terminate, but serve, and no node has others" : undefined;
}

/** The address by which a node is reached for a load-balancer address: that of the same family, else the primary one. */
function addressFor(node: NodeModel, vip: string): string {
  return node.addresses.find((one) => familyOf(one) === familyOf(vip)) ?? node.address;
}

/**
 * Why a node gets no new connections to an address of a Service, whatever its health; undefined if it may. With
 * externalTrafficPolicy Local a node without ready endpoints is known by the snapshot, before its health port has said so twice.
 */
export function passedOver(service: ServiceModel, node: NodeModel, vip: string): string | undefined {
  const barred = barredReason(node, vip);
  if (barred !== undefined) return barred;
  return lacksEndpoints(service, node)
    ? "no ready endpoint on this node, and externalTrafficPolicy is Local"
    : undefined;
}

function lacksEndpoints(service: ServiceModel, { name }: NodeModel): boolean {
  return service.externalTrafficPolicy === "Local" && readyOn(service, name).length === 0;
}

/** Why a node never gets connections to an address from outside, whatever its health; undefined if it may. */
function barredReason(node: NodeModel, vip: string): string | undefined {
  if (familyOf(addressFor(node, vip)) !== familyOf(vip)) return `the node has no ${familyOf(vip)} address`;
  if (node.excludedFromLoadBalancers === true) {
    return "labelled node.kubernetes.io/exclude-from-external-load-balancers";
  }
  return node.ready ? undefined : "the node is not Ready";
}

/**
 * All nodes are asked whether they live, and for a Service with policy Local those that have endpoints of it: one that gets
 * its first endpoint is asked anew then, because what it said before was about endpoints that are gone.
 */
function targetsOf(services: readonly ServiceModel[], nodes: readonly NodeModel[]): HealthTarget[] {
  if (services.length === 0) return [];
  const alive = nodes.map((node) => ({ ...place(node), port: HEALTHZ_PORT }));
  const own = services
    .filter((service) => checkPort(service) !== HEALTHZ_PORT)
    .flatMap((service) =>
      nodes
        .filter((node) => !lacksEndpoints(service, node))
        .map((node) => ({ ...place(node), port: checkPort(service) })),
    );
  return [...alive, ...own];
}

function isGone(name: string, targets: readonly HealthTarget[], healthOf: HealthOf): boolean {
  const own = targets.filter((target) => target.node === name);
  return own.length > 0 && own.every((target) => healthOf(target).state === "gone");
}

export function sortedNodes({ nodes }: Pick<Snapshot, "nodes">): readonly NodeModel[] {
  return [...nodes.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function byVip(a: VipPort, b: VipPort): number {
  const key = ({ address, protocol, port }: VipPort): string => `${address} ${protocol} ${port}`;
  return key(a) < key(b) ? -1 : 1;
}

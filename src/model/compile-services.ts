/** Services joined with their EndpointSlices (KEP-752, `discovery.k8s.io/v1`). */
import type { KubeObject } from "#kube";
import type { ServicePort as WirePort } from "kubernetes-types/core/v1.js";
import type { Endpoint as WireEndpoint, EndpointSlice } from "kubernetes-types/discovery/v1.js";
import { addressOrder, canonicalAddress, canonicalCidr, familyOf } from "#lib/ip";
import { isForeignClass } from "./address-request.ts";
import { protocolOf } from "./compile-pods.ts";
import { byText, keyOf, nameOf, namespaceOf } from "./objects.ts";
import { proxyProtocolOf } from "./proxy-protocol.ts";
import type { Endpoint, LoadBalancerAlgorithm, Scheduler, ServiceModel, ServicePort } from "./types.ts";
import { asEndpointSlice, asService } from "./views.ts";

/** sessionAffinityConfig.clientIP.timeoutSeconds, if the API has not set it: three hours. */
const DEFAULT_AFFINITY_SECONDS = 10_800;

const triggerAnnotation = "endpoints.kubernetes.io/last-change-trigger-time";

export const schedulerAnnotation = "inroad.dev/scheduler";

const schedulers: readonly Scheduler[] = ["rr", "wrr", "lc", "sh"];

export const algorithmAnnotation = "inroad.dev/load-balancer-algorithm";

export const loadBalancerAlgorithms: readonly LoadBalancerAlgorithm[] = [
  "round-robin",
  "source-hash",
  "connection-hash",
];

/** Slices by `namespace/name` of their Service. */
export type SlicesByService = ReadonlyMap<string, readonly EndpointSlice[]>;

/** `namespace/name` of the Service that a slice belongs to. */
export function serviceKeyOf(slice: KubeObject): string | undefined {
  const service = slice.metadata?.labels?.["kubernetes.io/service-name"];
  return service === undefined ? undefined : `${namespaceOf(slice)}/${service}`;
}

/** Groups slices by the Service that they belong to (label `kubernetes.io/service-name`). */
export function groupSlices(slices: readonly KubeObject[]): SlicesByService {
  const groups = new Map<string, EndpointSlice[]>();
  for (const object of slices) {
    const key = serviceKeyOf(object);
    if (key === undefined) continue;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [asEndpointSlice(object)]);
    else group.push(asEndpointSlice(object));
  }
  for (const group of groups.values()) {
    group.sort((a, b) => byText(a.metadata?.name ?? "", b.metadata?.name ?? ""));
  }
  return groups;
}

/** The last model of each Service, with the slices it was made of. */
const made = new WeakMap<
  KubeObject,
  { readonly slices: readonly EndpointSlice[]; readonly service: ServiceModel }
>();

/** One Service with its endpoints: the same value as before while the Service and its slices are the same objects. */
export function compileService(object: KubeObject, groups: SlicesByService): ServiceModel {
  const slices = groups.get(keyOf(object)) ?? [];
  const last = made.get(object);
  if (last?.slices.length === slices.length && last.slices.every((slice, i) => slice === slices[i])) {
    return last.service;
  }
  const service = joinService(object, slices);
  made.set(object, { slices, service });
  return service;
}

/** Slices of names (addressType FQDN) are not read; kube-proxy ignores them, too. */
function joinService(object: KubeObject, all: readonly EndpointSlice[]): ServiceModel {
  const { spec, status } = asService(object);
  const slices = all.filter(({ addressType }) => addressType === "IPv4" || addressType === "IPv6");
  const clusterIPs = spec?.clusterIPs ?? (spec?.clusterIP === undefined ? [] : [spec.clusterIP]);
  const headless = clusterIPs[0] === "None";
  const type = typeOf(spec?.type);
  const ports = (spec?.ports ?? []).map((port) => compilePort(port, slices));
  return {
    namespace: namespaceOf(object),
    name: nameOf(object),
    type,
    clusterIPs: headless || type === "ExternalName" ? [] : clusterIPs.flatMap(addressOrNothing),
    headless,
    ...(spec?.externalName === undefined ? {} : { externalName: spec.externalName }),
    selector: spec?.selector ?? {},
    ports,
    ...loadBalancerAddresses(status),
    externalTrafficPolicy: spec?.externalTrafficPolicy === "Local" ? "Local" : "Cluster",
    internalTrafficPolicy: spec?.internalTrafficPolicy === "Local" ? "Local" : "Cluster",
    ...(spec?.healthCheckNodePort === undefined || spec.healthCheckNodePort === 0
      ? {}
      : { healthCheckNodePort: spec.healthCheckNodePort }),
    ...affinityOf(spec),
    ...addressListsOf(spec),
    ...(isForeignClass(spec?.loadBalancerClass) ? { foreignClass: spec?.loadBalancerClass ?? "" } : {}),
    ...schedulerOf(object),
    ...algorithmOf(object),
    ...proxying(object),
    publishNotReadyAddresses: spec?.publishNotReadyAddresses ?? false,
    ...changedAt(slices),
    ...(ports.length === 0 && headless ? { portlessEndpoints: portless(slices) } : {}),
  };
}

function loadBalancerAddresses(
  status: ReturnType<typeof asService>["status"],
): Pick<ServiceModel, "loadBalancerIPs" | "proxiedIPs"> {
  const entries = status?.loadBalancer?.ingress ?? [];
  const [proxied, routed] = [true, false].map((proxy) =>
    entries.filter(({ ipMode }) => (ipMode === "Proxy") === proxy).flatMap(({ ip }) => addressOrNothing(ip)),
  );
  return {
    loadBalancerIPs: routed ?? [],
    ...(proxied?.length === 0 ? {} : { proxiedIPs: proxied ?? [] }),
  };
}

type Spec = ReturnType<typeof asService>["spec"];

function affinityOf(spec: Spec): Pick<ServiceModel, "sessionAffinity" | "affinityTimeoutSeconds"> {
  if (spec?.sessionAffinity !== "ClientIP") return { sessionAffinity: "None" };
  const seconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? DEFAULT_AFFINITY_SECONDS;
  return { sessionAffinity: "ClientIP", affinityTimeoutSeconds: seconds };
}

function addressListsOf(spec: Spec): Pick<ServiceModel, "externalIPs" | "sourceRanges"> {
  const externalIPs = (spec?.externalIPs ?? []).flatMap(addressOrNothing);
  const ranges = (spec?.loadBalancerSourceRanges ?? []).map((range) => range.trim());
  const sourceRanges = ranges.flatMap((range) => canonicalCidr(range) ?? []);
  return {
    ...(externalIPs.length === 0 ? {} : { externalIPs }),
    // Where none of the ranges can be read, nobody is let in.
    ...(ranges.length === 0 ? {} : { sourceRanges }),
  };
}

function schedulerOf(object: KubeObject): Pick<ServiceModel, "scheduler"> {
  const wanted = object.metadata?.annotations?.[schedulerAnnotation];
  const scheduler = schedulers.find((name) => name === wanted);
  return scheduler === undefined || scheduler === "rr" ? {} : { scheduler };
}

/** A client that is to stay with its endpoint must first of all stay with its node, which remembers it. */
function algorithmOf(object: KubeObject): Pick<ServiceModel, "loadBalancerAlgorithm"> {
  const wanted = object.metadata?.annotations?.[algorithmAnnotation];
  const affine = asService(object).spec?.sessionAffinity === "ClientIP";
  const algorithm = affine ? "source-hash" : loadBalancerAlgorithms.find((name) => name === wanted);
  return algorithm === undefined || algorithm === "round-robin" ? {} : { loadBalancerAlgorithm: algorithm };
}

function proxying(object: KubeObject): Pick<ServiceModel, "proxyProtocol"> {
  const proxyProtocol = proxyProtocolOf(object);
  return proxyProtocol === undefined ? {} : { proxyProtocol };
}

function changedAt(slices: readonly EndpointSlice[]): Pick<ServiceModel, "endpointsChangedAt"> {
  const times = slices
    .map((slice) => Date.parse(slice.metadata?.annotations?.[triggerAnnotation] ?? ""))
    .filter((time) => !Number.isNaN(time));
  return times.length === 0 ? {} : { endpointsChangedAt: Math.max(...times) };
}

function addressOrNothing(text: string | undefined): string | [] {
  return canonicalAddress(text ?? "") ?? [];
}

function typeOf(type: string | undefined): ServiceModel["type"] {
  return type === "NodePort" || type === "LoadBalancer" || type === "ExternalName" ? type : "ClusterIP";
}

function compilePort(port: WirePort, slices: readonly EndpointSlice[]): ServicePort {
  const name = port.name ?? "";
  const protocol = protocolOf(port.protocol);
  const endpoints = slices.flatMap((slice) =>
    (slice.ports ?? [])
      // A slice port without a number means "all ports"; kube-proxy ignores such ports, and so do we.
      .filter((p) => (p.name ?? "") === name && protocolOf(p.protocol) === protocol)
      .flatMap((p) => (p.port === undefined ? [] : endpointsOf(slice, p.port))),
  );
  return {
    name,
    protocol,
    port: port.port,
    targetPort: port.targetPort ?? port.port,
    ...(port.nodePort === undefined || port.nodePort === 0 ? {} : { nodePort: port.nodePort }),
    endpoints: joined(endpoints),
  };
}

function portless(slices: readonly EndpointSlice[]): readonly Endpoint[] {
  return joined(slices.flatMap((slice) => endpointsOf(slice, 0)));
}

function endpointsOf(slice: EndpointSlice, port: number): Endpoint[] {
  return (slice.endpoints ?? []).flatMap((endpoint) =>
    endpoint.addresses
      // All addresses of an endpoint are fungible: consumers use the first one only (API documentation).
      .slice(0, 1)
      .flatMap(addressOrNothing)
      .filter((address) => familyOf(address) === slice.addressType)
      .map((address) => compileEndpoint(endpoint, address, port, slice.metadata?.namespace)),
  );
}

function compileEndpoint(
  endpoint: WireEndpoint,
  address: string,
  port: number,
  namespace: string | undefined,
): Endpoint {
  const { conditions, targetRef, nodeName, hostname, zone } = endpoint;
  const hints = hintsOf(endpoint);
  const ready = conditions?.ready ?? true;
  return {
    address,
    port,
    ...(nodeName === undefined ? {} : { node: nodeName }),
    ...(zone === undefined ? {} : { zone }),
    ...(targetRef?.kind === "Pod" && targetRef.name !== undefined
      ? { pod: { namespace: targetRef.namespace ?? namespace ?? "default", name: targetRef.name } }
      : {}),
    ...(hostname === undefined || hostname === "" ? {} : { hostname }),
    ...(hints === undefined ? {} : { hints }),
    ready,
    serving: conditions?.serving ?? ready,
    terminating: conditions?.terminating ?? false,
  };
}

/** Hints for nodes are newer than the published types (KEP-3015). */
function hintsOf(endpoint: WireEndpoint): Endpoint["hints"] | undefined {
  const hints: Hints | undefined = endpoint.hints;
  if (hints === undefined) return undefined;
  return {
    nodes: (hints.forNodes ?? []).map(({ name }) => name),
    zones: (hints.forZones ?? []).map(({ name }) => name),
  };
}

interface Hints {
  readonly forZones?: readonly { readonly name: string }[];
  readonly forNodes?: readonly { readonly name: string }[];
}

/** Without duplicates (the same endpoint may stand in two slices for a moment: the better state counts), sorted. */
function joined(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const byPlace = new Map<string, Endpoint>();
  for (const endpoint of endpoints) {
    const place = `${endpoint.address} ${endpoint.port}`;
    const known = byPlace.get(place);
    if (known === undefined || worth(endpoint) > worth(known)) byPlace.set(place, endpoint);
  }
  return [...byPlace.values()]
    .map((endpoint) => ({ endpoint, order: addressOrder(endpoint.address) }))
    .sort((a, b) => byText(a.order, b.order) || a.endpoint.port - b.endpoint.port)
    .map(({ endpoint }) => endpoint);
}

function worth(endpoint: Endpoint): number {
  return endpoint.ready ? 2 : endpoint.serving ? 1 : 0;
}

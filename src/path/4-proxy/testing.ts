/** For tests: small clusters in a few words, and a source of snapshots that is set by hand. */
import { familyOf } from "#lib/ip";
import type { KubeObject } from "#kube";
import { compile } from "#model";
import type { Protocol, Snapshot, SnapshotSource } from "#model";

export interface TestEndpoint {
  readonly address: string;
  readonly node?: string;
  /** Its name, or `NAMESPACE/NAME` outside of `default`. */
  readonly pod?: string;
  /** Where it listens, if not at the targetPort of the Service: what a named one comes to may differ between pods. */
  readonly targetPort?: number;
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
  /** Topology hints. */
  readonly forZones?: readonly string[];
  readonly forNodes?: readonly string[];
  /** Annotation `inroad.dev/weight` of its pod. */
  readonly weight?: number;
}

interface TestPort {
  readonly name?: string;
  readonly port?: number;
  readonly targetPort?: number;
  readonly protocol?: Protocol;
  readonly nodePort?: number;
}

/** A Service of one port, or of `ports`. */
export interface TestService extends TestPort {
  readonly name: string;
  /** `None`: headless. */
  readonly clusterIP: string;
  /** Its address of the other family. */
  readonly secondClusterIP?: string;
  readonly endpoints: readonly TestEndpoint[];
  readonly ports?: readonly TestPort[];
  readonly type?: "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName";
  readonly loadBalancerIP?: string;
  readonly secondLoadBalancerIP?: string;
  readonly ipMode?: "VIP" | "Proxy";
  readonly sourceRanges?: readonly string[];
  readonly externalIPs?: readonly string[];
  readonly externalTrafficPolicy?: "Cluster" | "Local";
  readonly internalTrafficPolicy?: "Cluster" | "Local";
  readonly healthCheckNodePort?: number;
  /** sessionAffinity ClientIP with this timeout. */
  readonly affinitySeconds?: number;
  /** Annotation `inroad.dev/scheduler`. */
  readonly scheduler?: string;
}

/**
 * Two nodes of both families and these Services: node-a in zone-a (172.30.0.11, fd00:172:30::11, pods in 10.244.0.0/24
 * and fd00:10:244::/64) and node-b in zone-b (.12, 10.244.1.0/24, fd00:10:244:1::/64).
 */
export function testSnapshot(...services: readonly TestService[]): Snapshot {
  const snapshot = compile(
    {
      nodes: ["a", "b"].map(nodeObject),
      pods: services.flatMap(({ endpoints }) => endpoints.flatMap(podObject)),
      ...serviceObjects(services),
      ingresses: [],
      ingressClasses: [],
      secrets: [],
      namespaces: [],
    },
    { domain: "cluster.local" },
  );
  return { ...snapshot, serviceCIDRs: ["10.96.0.0/16", "fd00:10:96::/112"] };
}

/** What the API would hold of these Services. */
export function serviceObjects(
  services: readonly TestService[],
): Record<"services" | "endpointSlices", readonly KubeObject[]> {
  return { services: services.map(serviceObject), endpointSlices: services.flatMap(sliceObjects) };
}

function nodeObject(letter: string, index: number): KubeObject {
  const podCIDR = `10.244.${index}.0/24`;
  const addresses = [`172.30.0.1${index + 1}`, `fd00:172:30::1${index + 1}`];
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: `node-${letter}`, labels: { "topology.kubernetes.io/zone": `zone-${letter}` } },
    spec: { podCIDR, podCIDRs: [podCIDR, `fd00:10:244:${index}::/64`] },
    status: {
      addresses: addresses.map((address) => ({ type: "InternalIP", address })),
      conditions: [{ type: "Ready", status: "True" }],
    },
  };
}

/** Only pods with a weight need to be known. */
function podObject({ pod, weight, address, node }: TestEndpoint): KubeObject[] {
  if (pod === undefined || weight === undefined) return [];
  const metadata = { namespace: "default", name: pod, annotations: { "inroad.dev/weight": String(weight) } };
  const spec = { nodeName: node, containers: [] };
  return [{ apiVersion: "v1", kind: "Pod", metadata, spec, status: { podIP: address, phase: "Running" } }];
}

function portsOf(
  service: TestService,
): readonly Required<Omit<TestPort, "nodePort">>[] & readonly TestPort[] {
  return (service.ports ?? [service]).map((port) => ({
    ...(port.nodePort === undefined ? {} : { nodePort: port.nodePort }),
    name: service.ports === undefined ? "http" : (port.name ?? ""),
    protocol: port.protocol ?? "TCP",
    port: port.port ?? 80,
    targetPort: port.targetPort ?? 8080,
  }));
}

function serviceObject(service: TestService): KubeObject {
  const { scheduler, affinitySeconds: timeoutSeconds, ipMode = "VIP" } = service;
  const addresses = [service.loadBalancerIP, service.secondLoadBalancerIP].filter((ip) => ip !== undefined);
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      namespace: "default",
      name: service.name,
      ...(scheduler === undefined ? {} : { annotations: { "inroad.dev/scheduler": scheduler } }),
    },
    spec: {
      type: service.type ?? "ClusterIP",
      ...clusterIPsOf(service),
      externalTrafficPolicy: service.externalTrafficPolicy,
      internalTrafficPolicy: service.internalTrafficPolicy,
      healthCheckNodePort: service.healthCheckNodePort,
      externalIPs: service.externalIPs,
      loadBalancerSourceRanges: service.sourceRanges,
      ...(timeoutSeconds === undefined
        ? {}
        : { sessionAffinity: "ClientIP", sessionAffinityConfig: { clientIP: { timeoutSeconds } } }),
      ports: portsOf(service),
    },
    status: { loadBalancer: { ingress: addresses.map((ip) => ({ ip, ipMode })) } },
  };
}

function clusterIPsOf({ type, clusterIP, secondClusterIP }: TestService): object {
  if (type === "ExternalName") return { externalName: "elsewhere.example" };
  return { clusterIP, clusterIPs: [clusterIP, secondClusterIP].filter((ip) => ip !== undefined) };
}

/** One slice for each family and each target port that endpoints have of their own. */
function sliceObjects(service: TestService): KubeObject[] {
  const kindOf = ({ address, targetPort }: TestEndpoint): string =>
    `${familyOf(address)}-${targetPort ?? ""}`;
  const kinds = Map.groupBy(service.endpoints, kindOf);
  if (!kinds.has("IPv4-")) kinds.set("IPv4-", []);
  return [...kinds].map(([kind, endpoints]) => ({
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      namespace: "default",
      name: `${service.name}-${kind}`,
      labels: { "kubernetes.io/service-name": service.name },
    },
    addressType: kind.split("-")[0],
    ports: portsOf(service).map(({ name, protocol, targetPort }) => ({
      name,
      protocol,
      port: endpoints[0]?.targetPort ?? targetPort,
    })),
    endpoints: endpoints.map(endpointObject),
  }));
}

function endpointObject(endpoint: TestEndpoint): object {
  const { address, node, forZones, forNodes } = endpoint;
  const [name, namespace = "default"] = (endpoint.pod ?? "").split("/").reverse();
  const { ready = true, serving = ready, terminating = false } = endpoint;
  const named = (names: readonly string[] | undefined) => names?.map((name) => ({ name }));
  return {
    addresses: [address],
    nodeName: node,
    conditions: { ready, serving, terminating },
    targetRef: endpoint.pod === undefined ? undefined : { kind: "Pod", namespace, name },
    ...(forZones === undefined && forNodes === undefined
      ? {}
      : { hints: { forZones: named(forZones), forNodes: named(forNodes) } }),
  };
}

export interface SettableSource extends SnapshotSource {
  set(snapshot: Snapshot): void;
}

export function settableSource(initial: Snapshot): SettableSource {
  let current = initial;
  const listeners = new Set<(snapshot: Snapshot) => void>();
  return {
    current: () => current,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    set(snapshot) {
      current = snapshot;
      for (const listener of listeners) listener(snapshot);
    },
  };
}

/** For tests: small clusters in a few words, and a source of snapshots that is set by hand. */
import type { KubeObject } from "#kube";
import { compile } from "#model";
import type { Snapshot, SnapshotSource } from "#model";

export interface TestEndpoint {
  readonly address: string;
  readonly node?: string;
  readonly pod?: string;
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
  /** Annotation `inroad.dev/weight` of its pod. */
  readonly weight?: number;
}

export interface TestService {
  readonly name: string;
  readonly clusterIP: string;
  readonly endpoints: readonly TestEndpoint[];
  readonly port?: number;
  readonly targetPort?: number;
  readonly protocol?: "TCP" | "UDP";
  readonly type?: "ClusterIP" | "NodePort" | "LoadBalancer";
  readonly nodePort?: number;
  readonly loadBalancerIP?: string;
  readonly externalTrafficPolicy?: "Cluster" | "Local";
  readonly internalTrafficPolicy?: "Cluster" | "Local";
  readonly healthCheckNodePort?: number;
  /** Annotation `inroad.dev/scheduler`. */
  readonly scheduler?: string;
}

/** Two nodes, node-a (172.30.0.11, 10.244.0.0/24) and node-b (172.30.0.12, 10.244.1.0/24), and these Services. */
export function testSnapshot(...services: readonly TestService[]): Snapshot {
  const nodes = ["a", "b"].map((letter, index) => ({
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: `node-${letter}` },
    spec: { podCIDR: `10.244.${index}.0/24` },
    status: {
      addresses: [{ type: "InternalIP", address: `172.30.0.1${index + 1}` }],
      conditions: [{ type: "Ready", status: "True" }],
    },
  }));
  return compile(
    {
      nodes,
      pods: services.flatMap(({ endpoints }) => endpoints.flatMap(podObject)),
      services: services.map(serviceObject),
      endpointSlices: services.map(sliceObject),
      ingresses: [],
      ingressClasses: [],
      secrets: [],
      namespaces: [],
    },
    { domain: "cluster.local" },
  );
}

/** Only pods with a weight need to be known. */
function podObject({ pod, weight, address, node }: TestEndpoint): KubeObject[] {
  if (pod === undefined || weight === undefined) return [];
  const metadata = { namespace: "default", name: pod, annotations: { "inroad.dev/weight": String(weight) } };
  const spec = { nodeName: node, containers: [] };
  return [{ apiVersion: "v1", kind: "Pod", metadata, spec, status: { podIP: address, phase: "Running" } }];
}

function serviceObject(service: TestService): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      namespace: "default",
      name: service.name,
      ...(service.scheduler === undefined
        ? {}
        : { annotations: { "inroad.dev/scheduler": service.scheduler } }),
    },
    spec: {
      type: service.type ?? "ClusterIP",
      clusterIP: service.clusterIP,
      clusterIPs: [service.clusterIP],
      externalTrafficPolicy: service.externalTrafficPolicy,
      internalTrafficPolicy: service.internalTrafficPolicy,
      healthCheckNodePort: service.healthCheckNodePort,
      ports: [
        {
          name: "http",
          protocol: service.protocol ?? "TCP",
          port: service.port ?? 80,
          targetPort: service.targetPort ?? 8080,
          nodePort: service.nodePort,
        },
      ],
    },
    status: {
      loadBalancer:
        service.loadBalancerIP === undefined
          ? {}
          : { ingress: [{ ip: service.loadBalancerIP, ipMode: "VIP" }] },
    },
  };
}

function sliceObject(service: TestService): KubeObject {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      namespace: "default",
      name: `${service.name}-1`,
      labels: { "kubernetes.io/service-name": service.name },
    },
    addressType: "IPv4",
    ports: [{ name: "http", protocol: service.protocol ?? "TCP", port: service.targetPort ?? 8080 }],
    endpoints: service.endpoints.map(
      ({ address, node, pod, ready = true, serving = ready, terminating = false }) => ({
        addresses: [address],
        nodeName: node,
        conditions: { ready, serving, terminating },
        targetRef: pod === undefined ? undefined : { kind: "Pod", namespace: "default", name: pod },
      }),
    ),
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

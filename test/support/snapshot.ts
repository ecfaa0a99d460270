/**
 * The example cluster as plain objects, compiled: two nodes, three `api` pods (two on node-a, one on node-b), two
 * ingress pods, cluster DNS, and the Services `api-service`, `kubernetes`, `kube-dns` and `inroad-ingress`.
 */
import type { KubeObject } from "#kube";
import { type ClusterObjects, compile, type Snapshot } from "#model";

export const vip = "203.0.113.128";

interface PodSpec {
  readonly node: string;
  readonly address: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly port?: number;
  readonly portName?: string;
  readonly ready?: boolean;
}

/** A running pod. Ready unless told otherwise. */
export function pod(name: string, spec: PodSpec): KubeObject {
  const { node, address, namespace = "default", labels = { app: "api" }, port = 8080, ready = true } = spec;
  const named = spec.portName === undefined ? {} : { name: spec.portName };
  return {
    kind: "Pod",
    metadata: { name, namespace, uid: `uid-${name}`, labels },
    spec: {
      nodeName: node,
      containers: [{ name: "main", ports: [{ ...named, containerPort: port, protocol: "TCP" }] }],
    },
    status: {
      phase: "Running",
      podIP: address,
      conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
    },
  };
}

export function node(name: string, address: string, podCIDR: string): KubeObject {
  return {
    kind: "Node",
    metadata: {
      name,
      annotations: {
        "flannel.alpha.coreos.com/backend-data": `{"VNI":1,"VtepMAC":"02:00:00:00:00:0${podCIDR.split(".")[2]}"}`,
      },
    },
    spec: { podCIDR, podCIDRs: [podCIDR] },
    status: {
      addresses: [{ type: "InternalIP", address }],
      conditions: [{ type: "Ready", status: "True" }],
    },
  };
}

interface ServiceSpec {
  readonly namespace?: string;
  readonly clusterIP: string;
  readonly port?: number;
  readonly targetPort?: number | string;
  readonly name?: string;
  readonly protocol?: string;
  /** Merged into `spec`. */
  readonly more?: Readonly<Record<string, unknown>>;
  readonly status?: unknown;
}

export function service(name: string, selector: Record<string, string>, given: ServiceSpec): KubeObject {
  const { clusterIP, port = 80, targetPort = 8080, protocol = "TCP", more = {}, status } = given;
  const portName = given.name === undefined ? {} : { name: given.name };
  return {
    kind: "Service",
    metadata: { name, namespace: given.namespace ?? "default" },
    spec: {
      type: "ClusterIP",
      clusterIP,
      clusterIPs: [clusterIP],
      selector,
      ports: [{ ...portName, protocol, port, targetPort }],
      ...more,
    },
    ...(status === undefined ? {} : { status }),
  };
}

/** The slice that the controller would write for these pods. */
export function slice(
  serviceName: string,
  pods: readonly KubeObject[],
  ports: readonly { name?: string; port?: number; protocol?: string }[],
  suffix = "1",
): KubeObject {
  const namespace = pods[0]?.metadata?.namespace ?? "default";
  return {
    kind: "EndpointSlice",
    metadata: {
      name: `${serviceName}-${suffix}`,
      namespace,
      labels: { "kubernetes.io/service-name": serviceName },
    },
    addressType: "IPv4",
    ports,
    endpoints: pods.map((object) => {
      const { spec, status } = object as { spec?: { nodeName?: string }; status?: { podIP?: string } };
      return {
        addresses: [status?.podIP],
        nodeName: spec?.nodeName,
        targetRef: { kind: "Pod", namespace, name: object.metadata?.name },
        conditions: { ready: true, serving: true, terminating: false },
      };
    }),
  };
}

/** An Ingress; `spec` as in YAML. */
export function ingress(
  name: string,
  spec: unknown,
  more: { namespace?: string; created?: string; annotations?: Record<string, string> } = {},
): KubeObject {
  return {
    kind: "Ingress",
    metadata: {
      name,
      namespace: more.namespace ?? "default",
      creationTimestamp: more.created ?? "2026-01-01T00:00:00Z",
      ...(more.annotations === undefined ? {} : { annotations: more.annotations }),
    },
    spec,
  };
}

/** One rule for the host: a path that leads to a Service port. */
export function rule(host: string, path: string, serviceName: string, port: number, pathType = "Prefix") {
  const backend = { service: { name: serviceName, port: { number: port } } };
  return { ...(host === "" ? {} : { host }), http: { paths: [{ path, pathType, backend }] } };
}

export const ourClass: KubeObject = {
  kind: "IngressClass",
  metadata: { name: "inroad", annotations: { "ingressclass.kubernetes.io/is-default-class": "true" } },
  spec: { controller: "inroad.dev/ingress" },
};

export const apiPods: readonly KubeObject[] = [
  pod("api-1", { node: "node-a", address: "10.244.0.5" }),
  pod("api-2", { node: "node-a", address: "10.244.0.6" }),
  pod("api-3", { node: "node-b", address: "10.244.1.5" }),
];

const ingressLabels = { "app.kubernetes.io/name": "inroad-ingress", "inroad.dev/component": "ingress" };
const ingressPods: readonly KubeObject[] = [
  pod("inroad-ingress-a", {
    namespace: "inroad-system",
    node: "node-a",
    address: "10.244.0.3",
    labels: ingressLabels,
    port: 80,
  }),
  pod("inroad-ingress-b", {
    namespace: "inroad-system",
    node: "node-b",
    address: "10.244.1.3",
    labels: ingressLabels,
    port: 80,
  }),
];

const dnsLabels = { "k8s-app": "kube-dns", "inroad.dev/component": "dns" };
const dnsPods: readonly KubeObject[] = [
  pod("kube-dns-1", {
    namespace: "kube-system",
    node: "node-a",
    address: "10.244.0.2",
    labels: dnsLabels,
    port: 53,
  }),
];

function kubernetesSlice(): KubeObject {
  return {
    kind: "EndpointSlice",
    metadata: {
      name: "kubernetes",
      namespace: "default",
      labels: { "kubernetes.io/service-name": "kubernetes" },
    },
    addressType: "IPv4",
    ports: [{ name: "https", port: 6443, protocol: "TCP" }],
    endpoints: [{ addresses: ["172.30.0.1"], conditions: { ready: true } }],
  };
}

function ingressService(): KubeObject {
  return service("inroad-ingress", ingressLabels, {
    namespace: "inroad-system",
    clusterIP: "10.96.120.7",
    more: {
      type: "LoadBalancer",
      externalTrafficPolicy: "Local",
      healthCheckNodePort: 30500,
      ports: [
        { name: "http", protocol: "TCP", port: 80, targetPort: 80, nodePort: 30080 },
        { name: "https", protocol: "TCP", port: 443, targetPort: 443, nodePort: 30443 },
      ],
    },
    status: { loadBalancer: { ingress: [{ ip: vip, ipMode: "VIP" }] } },
  });
}

/** The example's Ingress with another spec or annotations; it has its address already. */
export function exampleIngress(spec: unknown, annotations?: Record<string, string>): KubeObject {
  return {
    ...ingress("api-ingress", spec, annotations === undefined ? {} : { annotations }),
    status: { loadBalancer: { ingress: [{ ip: vip }] } },
  };
}

/** The objects of the example cluster, some of them replaced. */
export function exampleObjects(changes: Partial<ClusterObjects> = {}): ClusterObjects {
  return {
    nodes: [node("node-a", "172.30.0.11", "10.244.0.0/24"), node("node-b", "172.30.0.12", "10.244.1.0/24")],
    pods: [...apiPods, ...ingressPods, ...dnsPods],
    services: [
      service("api-service", { app: "api" }, { clusterIP: "10.96.1.1" }),
      service("kubernetes", {}, { clusterIP: "10.96.0.1", port: 443, targetPort: 6443, name: "https" }),
      service("kube-dns", dnsLabels, {
        namespace: "kube-system",
        clusterIP: "10.96.0.10",
        port: 53,
        targetPort: 53,
        name: "dns",
        protocol: "UDP",
      }),
      ingressService(),
    ],
    endpointSlices: [
      slice("api-service", apiPods, [{ name: "", port: 8080, protocol: "TCP" }]),
      slice("inroad-ingress", ingressPods, [
        { name: "http", port: 80, protocol: "TCP" },
        { name: "https", port: 443, protocol: "TCP" },
      ]),
      slice("kube-dns", dnsPods, [{ name: "dns", port: 53, protocol: "UDP" }]),
      kubernetesSlice(),
    ],
    ingresses: [exampleIngress({ rules: [rule("api.hadywafa.com", "/", "api-service", 80)] })],
    ingressClasses: [ourClass],
    secrets: [],
    namespaces: ["default", "inroad-system", "kube-system"].map((name) => ({
      kind: "Namespace",
      metadata: { name },
    })),
    ...changes,
  };
}

/** The example cluster, some of its objects replaced. */
export function exampleSnapshot(changes: Partial<ClusterObjects> = {}): Snapshot {
  return compile(exampleObjects(changes), { domain: "cluster.local" });
}

/** A small cluster for this folder's tests. */
import type { Endpoint, ServiceModel, ServicePort, Snapshot } from "#model";

export function endpoint(address: string, changes: Partial<Endpoint> = {}): Endpoint {
  return { address, port: 8080, ready: true, serving: true, terminating: false, ...changes };
}

export function port(name: string, number: number, changes: Partial<ServicePort> = {}): ServicePort {
  return { name, protocol: "TCP", port: number, targetPort: 8080, endpoints: [], ...changes };
}

/** A Service from `namespace/name`. */
export function service(key: string, changes: Partial<ServiceModel> = {}): ServiceModel {
  const [namespace = "", name = ""] = key.split("/");
  return {
    namespace,
    name,
    type: "ClusterIP",
    clusterIPs: [],
    headless: false,
    selector: {},
    ports: [],
    loadBalancerIPs: [],
    externalTrafficPolicy: "Cluster",
    internalTrafficPolicy: "Cluster",
    sessionAffinity: "None",
    publishNotReadyAddresses: false,
    ...changes,
  };
}

const backends = [endpoint("10.244.0.5"), endpoint("10.244.1.5"), endpoint("10.244.1.6", { ready: false })];
const members = [
  endpoint("10.244.0.7", { hostname: "db-0" }),
  endpoint("10.244.1.7", { hostname: "db-1" }),
  endpoint("10.244.1.8", { hostname: "db-2", ready: false }),
  endpoint("10.244.1.9"),
];

const services = [
  service("default/api-service", {
    clusterIPs: ["10.96.1.1"],
    ports: [port("http", 80, { endpoints: backends }), port("metrics", 9090)],
  }),
  service("default/unnamed", { clusterIPs: ["10.96.1.2"], ports: [port("", 80)] }),
  service("default/dual", { clusterIPs: ["10.96.1.3", "fd00::3"], ports: [port("http", 80)] }),
  service("default/db", {
    headless: true,
    ports: [port("sql", 5432, { endpoints: members.map((one) => ({ ...one, port: 5432 })) })],
  }),
  service("default/idle", {
    headless: true,
    ports: [port("http", 80, { endpoints: [endpoint("10.244.0.9", { ready: false })] })],
  }),
  service("default/portless", { headless: true, portlessEndpoints: [endpoint("10.244.0.11", { port: 0 })] }),
  service("default/outside", { type: "ExternalName", externalName: "www.example.com" }),
  service("default/alias", { type: "ExternalName", externalName: "api-service.default.svc.cluster.local" }),
  service("default/dangling", { type: "ExternalName", externalName: "none.default.svc.cluster.local" }),
  service("default/circle", { type: "ExternalName", externalName: "circle.default.svc.cluster.local" }),
  service("default/own-url", { type: "ExternalName", externalName: "api.hadywafa.com" }),
  service("default/address", { type: "ExternalName", externalName: "192.0.2.1" }),
  service("kube-system/kube-dns", {
    clusterIPs: ["10.96.0.10"],
    ports: [port("dns", 53, { protocol: "UDP", endpoints: [endpoint("10.244.0.2")] })],
  }),
];

export const cluster: Snapshot = {
  domain: "cluster.local",
  nodes: new Map(),
  pods: new Map([
    [
      "default/client",
      {
        namespace: "default",
        name: "client",
        uid: "1",
        node: "node-b",
        address: "10.244.1.3",
        addresses: ["10.244.1.3"],
        labels: {},
        ready: true,
        terminating: false,
        hostNetwork: false,
        ports: [],
      },
    ],
  ]),
  podsByAddress: new Map(),
  policies: new Map(),
  namespaces: new Set(["default", "kube-system", "shop"]),
  services: new Map(services.map((one) => [`${one.namespace}/${one.name}`, one])),
  routes: { hosts: new Map(), certificates: [] },
  publicNames: new Map([
    ["api.hadywafa.com", { addresses: ["203.0.113.128"] }],
    ["*.shop.example", { addresses: ["203.0.113.128", "203.0.113.129"] }],
    ["pending.example", { addresses: [] }],
    ["dual.example", { addresses: ["203.0.113.128", "2001:db8::80"], ttl: 60 }],
    ["alias.example", { addresses: [], alias: "api.hadywafa.com", ttl: 30 }],
    ["outside.example", { addresses: [], alias: "lb.cloud.example" }],
  ]),
  findings: [],
};

/** The same cluster without some Services. */
export function without(...keys: string[]): Snapshot {
  return { ...cluster, services: new Map([...cluster.services].filter(([key]) => !keys.includes(key))) };
}

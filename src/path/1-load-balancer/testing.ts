/** Small clusters for this folder's tests. */
import type { NodeModel, ServiceModel, Snapshot } from "#model";

/** A LoadBalancer Service with one port and one address. */
export function webService(changes: Partial<ServiceModel> = {}): ServiceModel {
  return {
    namespace: "shop",
    name: "web",
    type: "LoadBalancer",
    clusterIPs: ["10.96.0.80"],
    headless: false,
    selector: {},
    ports: [{ name: "http", protocol: "TCP", port: 80, targetPort: 80, endpoints: [] }],
    loadBalancerIPs: ["203.0.113.128"],
    externalTrafficPolicy: "Cluster",
    internalTrafficPolicy: "Cluster",
    sessionAffinity: "None",
    publishNotReadyAddresses: false,
    ...changes,
  };
}

/** A cluster of these Services and nodes (ready unless they say otherwise). */
export function snapshotOf(
  services: readonly ServiceModel[],
  nodes: Readonly<Record<string, Partial<NodeModel>>>,
): Snapshot {
  const models = Object.entries(nodes).map(([name, changes], index): [string, NodeModel] => {
    const address = `172.30.0.${11 + index}`;
    const podCIDR = `10.244.${index}.0/24`;
    const node = { name, address, addresses: [address], podCIDR, podCIDRs: [podCIDR], ready: true };
    return [name, { ...node, ...changes }];
  });
  return {
    domain: "cluster.local",
    nodes: new Map(models),
    pods: new Map(),
    podsByAddress: new Map(),
    policies: new Map(),
    namespaces: new Set(["shop"]),
    services: new Map(services.map((service) => [`${service.namespace}/${service.name}`, service])),
    routes: { hosts: new Map(), certificates: [] },
    publicNames: new Map([
      ["api.hadywafa.com", { addresses: ["203.0.113.128"] }],
      ["*.shop.example", { addresses: ["203.0.113.128"] }],
      ["pending.example", { addresses: [] }],
      ["dual.example", { addresses: ["203.0.113.128", "2001:db8::80"], ttl: 60 }],
      ["six.example", { addresses: ["2001:db8::80", "2001:db8::81"] }],
      ["alias.example", { addresses: [], alias: "api.hadywafa.com", ttl: 30 }],
      ["outside.example", { addresses: [], alias: "lb.cloud.example" }],
    ]),
    findings: [],
  };
}

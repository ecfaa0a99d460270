/**
 * The immutable model of the cluster that every hop plans and explains from.
 *
 * Kubernetes objects are compiled into it once (`compile.ts`); hops never read raw objects.
 * One bad object never blocks another: what cannot be used becomes a `Finding`.
 */

export type { IpFamily } from "#lib/ip";

/** `namespace/name` of a namespaced object; the key of the maps below. */
export type NamespacedName = string;

export interface ObjectRef {
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
}

/** Something a person should know about an object: an error, or a thing that Inroad does not implement. */
export interface Finding {
  /** Stable, for programs: `DanglingBackend`, `UnknownAnnotation` ... */
  readonly code: string;
  readonly severity: "error" | "warning" | "info";
  readonly object: ObjectRef;
  /** Kubernetes field path, `spec.rules[0].http.paths[0].backend`. */
  readonly field?: string;
  readonly message: string;
  /** What to do about it. */
  readonly mend?: string;
  /** True when it could change what happens to a request, so that a trace depending on it is `unknown`. */
  readonly affectsRouting: boolean;
  /** Further objects it is about: the pods that a NetworkPolicy selects. */
  readonly affects?: readonly ObjectRef[];
}

/** `vxlan`: packets travel inside of UDP datagrams between the nodes. `host-gw`: as they are, each node being a gateway. */
export type Overlay = "vxlan" | "host-gw";

export interface NodeModel {
  readonly name: string;
  /** IPv4 address on the underlay (InternalIP). */
  readonly address: string;
  /** All InternalIPs, at most one of each family, the primary one first. */
  readonly addresses: readonly string[];
  /** The pods of this node have their IPv4 addresses in this CIDR. */
  readonly podCIDR: string;
  /** One CIDR of each family that pods have addresses of, the primary one first. */
  readonly podCIDRs: readonly string[];
  /** Label `topology.kubernetes.io/zone`. */
  readonly zone?: string;
  /** How other nodes send packets to this one's pods, if it announced that (flannel.alpha.coreos.com/backend-type). */
  readonly overlay?: Overlay;
  /** VXLAN tunnel endpoint, if the node announced one (flannel.alpha.coreos.com/backend-data). */
  readonly vtepMac?: string;
  readonly ready: boolean;
  /** Labelled `node.kubernetes.io/exclude-from-external-load-balancers` (any value). */
  readonly excludedFromLoadBalancers?: boolean;
  /** About to go: being deleted, or tainted `ToBeDeletedByClusterAutoscaler`. Load balancers send it nothing new (KEP-3836). */
  readonly leaving?: boolean;
}

export interface PodModel {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly node: string | undefined;
  /** The primary one of `addresses`. */
  readonly address: string | undefined;
  /** status.podIPs, in their canonical form: at most one of each family. */
  readonly addresses: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly ready: boolean;
  readonly terminating: boolean;
  readonly hostNetwork: boolean;
  /** Named container ports, for `targetPort` names. */
  readonly ports: readonly { name?: string; containerPort: number; protocol: Protocol }[];
  /** `spec.hostname` etc. for headless Services. */
  readonly hostname?: string;
  readonly subdomain?: string;
  /** Its resolver is not set up as Kubernetes does by default: another dnsPolicy than ClusterFirst, or a dnsConfig. */
  readonly ownResolver?: true;
  /** Annotation `inroad.dev/weight`, 1 to 100: share of the connections of Services with scheduler `wrr`. */
  readonly weight?: number;
  /** Set for Inroad's own components ("ingress", "dns"), by the label `inroad.dev/component` in the system's namespaces. */
  readonly component?: string;
}

export type Protocol = "TCP" | "UDP" | "SCTP";

export interface Endpoint {
  /** IPv4 or IPv6, in its canonical form. */
  readonly address: string;
  readonly port: number;
  readonly node?: string;
  /** Topology zone that it is in, if the EndpointSlice says so. */
  readonly zone?: string;
  /** For which nodes and zones it is meant, if the EndpointSlice says so (topology hints). */
  readonly hints?: { readonly nodes: readonly string[]; readonly zones: readonly string[] };
  readonly pod?: { readonly namespace: string; readonly name: string };
  readonly hostname?: string;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
}

/**
 * How the endpoints of a Service are chosen, under the names that IPVS gives them: round robin, weighted round robin, least
 * connections, source hash.
 */
export type Scheduler = "rr" | "wrr" | "lc" | "sh";

/** How a load balancer chooses the node of a new connection: by turns, by the client's address, or by its address and port. */
export type LoadBalancerAlgorithm = "round-robin" | "source-hash" | "connection-hash";

/** Versions of the PROXY protocol. */
export type ProxyProtocol = "v1" | "v2";

export interface ServicePort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly targetPort: number | string;
  readonly nodePort?: number;
  /** Of both families, joined over all slices of the Service, without duplicates, sorted: IPv4 first, by address, then by port. */
  readonly endpoints: readonly Endpoint[];
}

/** Addresses that load balancers are given. */
export interface AddressPool {
  readonly name: string;
  /** Networks (`203.0.113.128/25`) and ranges (`203.0.113.200-203.0.113.210`) of either family, in the order of use. */
  readonly addresses: readonly string[];
  /** Whether Services that ask for no pool get addresses of it; otherwise only those that name it, or an address of it. */
  readonly autoAssign: boolean;
}

export interface ServiceModel {
  readonly namespace: string;
  readonly name: string;
  readonly type: "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName";
  /** Empty for headless Services and ExternalName. */
  readonly clusterIPs: readonly string[];
  readonly headless: boolean;
  readonly externalName?: string;
  readonly selector: Readonly<Record<string, string>>;
  readonly ports: readonly ServicePort[];
  /** status.loadBalancer.ingress[].ip with ipMode VIP (the default). */
  readonly loadBalancerIPs: readonly string[];
  /** As `loadBalancerIPs`, with ipMode Proxy: connections end at the load balancer, so that nodes send their own there, too. */
  readonly proxiedIPs?: readonly string[];
  /** By annotation (see `proxy-protocol.ts`): what the load balancer says to endpoints at the beginning of a connection. */
  readonly proxyProtocol?: ProxyProtocol;
  /** spec.loadBalancerClass, if it is that of another implementation: the load balancer leaves its addresses alone. */
  readonly foreignClass?: string;
  /** spec.externalIPs; the proxy serves them only where it is told to (CVE-2020-8554). */
  readonly externalIPs?: readonly string[];
  /** spec.loadBalancerSourceRanges, canonical: who may reach the load-balancer addresses. Absent: everybody. */
  readonly sourceRanges?: readonly string[];
  readonly externalTrafficPolicy: "Cluster" | "Local";
  readonly internalTrafficPolicy: "Cluster" | "Local";
  readonly healthCheckNodePort?: number;
  readonly sessionAffinity: "None" | "ClientIP";
  /** How long affinity outlives a client's last connection, in seconds; present with ClientIP. */
  readonly affinityTimeoutSeconds?: number;
  /** Annotation `inroad.dev/scheduler`; absent: `rr`. */
  readonly scheduler?: Scheduler;
  /** Annotation `inroad.dev/load-balancer-algorithm`; absent: `round-robin`. With ClientIP it is `source-hash`. */
  readonly loadBalancerAlgorithm?: LoadBalancerAlgorithm;
  readonly publishNotReadyAddresses: boolean;
  /**
   * When the pod or Service changed that the newest of its EndpointSlices follows, in milliseconds since 1970
   * (annotation `endpoints.kubernetes.io/last-change-trigger-time`).
   */
  readonly endpointsChangedAt?: number;
  /** Endpoints of a headless Service that has no ports, for its DNS records; their `port` is 0. */
  readonly portlessEndpoints?: readonly Endpoint[];
}

/** One path of an Ingress rule, after compilation. */
export interface IngressPath {
  readonly ingress: { readonly namespace: string; readonly name: string };
  /** Field path in the Ingress: `spec.rules[0].http.paths[0]`, or `spec.defaultBackend`. */
  readonly field: string;
  readonly pathType: "Exact" | "Prefix" | "ImplementationSpecific";
  readonly path: string;
  readonly backend: IngressBackend;
}

export type IngressBackend =
  | {
      readonly kind: "service";
      readonly namespace: string;
      readonly service: string;
      readonly port: ServicePort;
    }
  /** Valid object, but the backend cannot be used: answered with `status` and explained by `reason` and `mend`. */
  | {
      readonly kind: "invalid";
      readonly service?: string;
      readonly status: 404 | 503;
      readonly reason: string;
      readonly mend: string;
    };

export interface IngressHost {
  /** Lower case; `""` is the catch-all, `*.foo.com` a one-label wildcard. */
  readonly host: string;
  /** In order of precedence: longest path first, then Exact before Prefix, then the older Ingress. */
  readonly paths: readonly IngressPath[];
}

export interface TlsCertificate {
  /** Host of `spec.tls[].hosts`, lower case, may be a one-label wildcard. */
  readonly host: string;
  readonly secret: { readonly namespace: string; readonly name: string };
  readonly ingress: { readonly namespace: string; readonly name: string };
  /** Why the certificate cannot be used (Secret missing, wrong type, bad PEM ...); then the default certificate serves. */
  readonly problem?: string;
  /** Certificate chain and private key as PEM text; absent exactly when there is a problem. */
  readonly pem?: { readonly certificate: string; readonly key: string };
}

/** Everything the L7 engine needs to route, for one ingress class. */
export interface IngressRoutes {
  /** By host; exact hosts, `*.` wildcards and `""`. */
  readonly hosts: ReadonlyMap<string, IngressHost>;
  readonly defaultBackend?: IngressPath;
  readonly certificates: readonly TlsCertificate[];
}

/** What a public name stands for. */
export interface PublicName {
  /** IPv4 first, without duplicates; from the load balancer's status, or as the annotation `target` says. May be empty: taken, but without an address yet. */
  readonly addresses: readonly string[];
  /** It is another name for this one (lower case, no dot at the end); only without addresses. */
  readonly alias?: string;
  /** Seconds, if an annotation says so. */
  readonly ttl?: number;
}

/** Seen from the pods that a policy selects: connections that they open, or that are opened to them. */
export type PolicyDirection = "egress" | "ingress";

/** A NetworkPolicy with its selectors resolved to the pods of the snapshot. */
export interface PolicyModel {
  readonly namespace: string;
  readonly name: string;
  /** The pods that it isolates. Pods in the network of their host are not among them. */
  readonly selected: ReadonlySet<NamespacedName>;
  /** What it allows, for each direction that it isolates (`policyTypes`). */
  readonly rules: { readonly [Direction in PolicyDirection]?: readonly PolicyRule[] };
}

/** An item of `spec.ingress` or `spec.egress`: allows what both parts allow. */
export interface PolicyRule {
  /** The other ends. Absent: everybody, in the cluster and outside. */
  readonly peers?: PolicyPeers;
  /** Absent: every port of every protocol. */
  readonly ports?: readonly PolicyPort[];
}

export interface PolicyPeers {
  /** Absent where no selector asks for pods; empty where the selectors find none. */
  readonly pods?: ReadonlySet<NamespacedName>;
  readonly blocks: readonly PolicyBlock[];
}

/** Networks of either family, canonical. */
export interface PolicyBlock {
  readonly cidr: string;
  readonly except: readonly string[];
}

export interface PolicyPort {
  readonly protocol: Protocol;
  /** A number, or the name of a container port of the destination pod. Absent: every port of the protocol. */
  readonly port?: number | string;
  /** Last port of a range that starts at a numeric `port`. */
  readonly endPort?: number;
}

export interface Snapshot {
  /** `cluster.local`. */
  readonly domain: string;
  readonly nodes: ReadonlyMap<string, NodeModel>;
  readonly pods: ReadonlyMap<NamespacedName, PodModel>;
  readonly podsByAddress: ReadonlyMap<string, PodModel>;
  readonly namespaces: ReadonlySet<string>;
  readonly services: ReadonlyMap<NamespacedName, ServiceModel>;
  /**
   * The ranges that ClusterIPs come from, canonical, IPv4 first: what lies in one of them and is no Service's address belongs to
   * nobody. Empty or absent where the cluster does not tell (ServiceCIDR objects came with Kubernetes 1.33).
   */
  readonly serviceCIDRs?: readonly string[];
  readonly policies: ReadonlyMap<NamespacedName, PolicyModel>;
  /** Routes of the ingress class that Inroad's controller owns. */
  readonly routes: IngressRoutes;
  /**
   * What the public DNS knows, by name (lower case, no dot at the end, may start with a one-label wildcard `*.`): the hosts
   * of every Ingress, of any class, and the names that LoadBalancer Services announce by external-dns' annotations.
   */
  readonly publicNames?: ReadonlyMap<string, PublicName>;
  readonly findings: readonly Finding[];
  /** The resourceVersion of the EndpointSlices that it was made of; absent where they are not watched. */
  readonly endpointsVersion?: string;
}

/** Where components get their snapshots from; a new one after every (coalesced) change. */
export interface SnapshotSource {
  current(): Snapshot;
  /** Calls back with every later snapshot; returns a function that ends the subscription. */
  subscribe(listener: (snapshot: Snapshot) => void): () => void;
}

/**
 * The immutable model of the cluster that every hop plans and explains from.
 *
 * Kubernetes objects are compiled into it once (`compile.ts`); hops never read raw objects.
 * One bad object never blocks another: what cannot be used becomes a `Finding`.
 */

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

export interface NodeModel {
  readonly name: string;
  /** Address on the underlay (InternalIP). */
  readonly address: string;
  /** The pods of this node live in this CIDR. */
  readonly podCIDR: string;
  /** VXLAN tunnel endpoint, if the node announced one (flannel.alpha.coreos.com/backend-data). */
  readonly vtepMac?: string;
  readonly ready: boolean;
  /** Labelled `node.kubernetes.io/exclude-from-external-load-balancers` (any value). */
  readonly excludedFromLoadBalancers?: boolean;
}

export interface PodModel {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly node: string | undefined;
  readonly address: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly ready: boolean;
  readonly terminating: boolean;
  readonly hostNetwork: boolean;
  /** Named container ports, for `targetPort` names. */
  readonly ports: readonly { name?: string; containerPort: number; protocol: Protocol }[];
  /** `spec.hostname` etc. for headless Services. */
  readonly hostname?: string;
  readonly subdomain?: string;
  /** Set for Inroad's own components ("ingress", "dns"), by the label `inroad.dev/component` in the system's namespaces. */
  readonly component?: string;
}

export type Protocol = "TCP" | "UDP" | "SCTP";

export interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly node?: string;
  readonly pod?: { readonly namespace: string; readonly name: string };
  readonly hostname?: string;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
}

export interface ServicePort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly targetPort: number | string;
  readonly nodePort?: number;
  /** Joined over all slices of the Service, without duplicates, sorted by address then port. */
  readonly endpoints: readonly Endpoint[];
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
  readonly externalTrafficPolicy: "Cluster" | "Local";
  readonly internalTrafficPolicy: "Cluster" | "Local";
  readonly healthCheckNodePort?: number;
  readonly sessionAffinity: "None" | "ClientIP";
  readonly publishNotReadyAddresses: boolean;
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

export interface Snapshot {
  /** `cluster.local`. */
  readonly domain: string;
  readonly nodes: ReadonlyMap<string, NodeModel>;
  readonly pods: ReadonlyMap<NamespacedName, PodModel>;
  readonly podsByAddress: ReadonlyMap<string, PodModel>;
  readonly namespaces: ReadonlySet<string>;
  readonly services: ReadonlyMap<NamespacedName, ServiceModel>;
  /** Routes of the ingress class that Inroad's controller owns. */
  readonly routes: IngressRoutes;
  /**
   * What the public DNS knows: name (lower case, no dot at the end, may start with a one-label wildcard `*.`) to the
   * load-balancer addresses it stands for, sorted, without duplicates. From the hosts of every Ingress rule, of any class
   * (`status.loadBalancer.ingress[].ip`), and from the external-dns `hostname` annotation of LoadBalancer Services
   * (their `loadBalancerIPs`). An empty list: the name is taken, but has no address yet.
   */
  readonly publicNames?: ReadonlyMap<string, readonly string[]>;
  readonly findings: readonly Finding[];
}

/** Where components get their snapshots from; a new one after every (coalesced) change. */
export interface SnapshotSource {
  current(): Snapshot;
  /** Calls back with every later snapshot; returns a function that ends the subscription. */
  subscribe(listener: (snapshot: Snapshot) => void): () => void;
}

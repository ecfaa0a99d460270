/** What may be chosen about the cluster's zone. Names and defaults are those of CoreDNS' kubernetes plugin. */
export interface ZoneOptions {
  /** TTL of every record but the version, seconds, 0 to 3600; 5 if not given. */
  readonly ttl?: number;
  /**
   * `a-b-c-d.NAMESPACE.pod`: not at all, for every address (as kubeadm and k3s set it; the default here), or only for
   * the address of a pod of that namespace, which needs a snapshot with pods.
   */
  readonly pods?: "disabled" | "insecure" | "verified";
  /** Endpoints without a hostname are named after their pod instead of their address. */
  readonly endpointPodNames?: boolean;
  /** A Service with a ClusterIP but no ready endpoint does not exist. */
  readonly ignoreEmptyService?: boolean;
  /** The only namespaces whose names are served. */
  readonly namespaces?: readonly string[];
  /**
   * What to do with the hosts of Ingresses: answer them with the load balancer's addresses (if not given), so that a pod that
   * calls the cluster's own URL reaches this cluster and no other; or forward them like any name, as CoreDNS does.
   */
  readonly publicNames?: "answer" | "forward";
  /** Headless Services have names by topology zone: `ZONE.pin._zone.SERVICE...` and `ZONE.prefer._zone.SERVICE...`. */
  readonly zonal?: boolean;
}

export const defaultTtl = 5;

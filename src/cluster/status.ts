/** What `inroad status` shows, from the snapshot. */
import { certificateFor, type Snapshot } from "#model";
import type { ClusterConfig } from "./config.ts";
import type { ClusterStatus } from "./messages.ts";
import { ingressService } from "./system.ts";

/**
 * @param waitingFor what is not ready yet, in words
 * @param notes what users should know of its network
 */
export function statusOf(
  config: ClusterConfig,
  snapshot: Snapshot,
  waitingFor: readonly string[],
  notes: readonly string[],
): ClusterStatus {
  const address = ingressAddress(snapshot);
  return {
    name: config.name,
    ready: waitingFor.length === 0,
    waitingFor,
    proxyMode: config.proxyMode,
    rootless: !config.root,
    notes,
    nodes: [...snapshot.nodes.values()].map(({ name, address: underlay, ready }) => ({
      name,
      address: underlay,
      ready,
    })),
    pods: [...snapshot.pods.values()].map((pod) => ({
      namespace: pod.namespace,
      name: pod.name,
      node: pod.node ?? "",
      address: pod.address ?? "",
      ready: pod.ready,
    })),
    services: [...snapshot.services.values()].map((service) => ({
      namespace: service.namespace,
      name: service.name,
      type: service.type,
      clusterIP: service.headless ? "None" : (service.clusterIPs[0] ?? ""),
      addresses: service.loadBalancerIPs,
    })),
    hosts: [...snapshot.routes.hosts.keys()]
      .filter((host) => host !== "")
      .map((host) => {
        const certificate = certificateFor(snapshot.routes, host);
        return {
          host,
          address: address ?? "",
          tls: certificate !== undefined && certificate.problem === undefined,
        };
      }),
    findings: snapshot.findings.map(({ severity, object, message, mend }) => ({
      severity,
      object: `${object.kind} ${object.namespace === undefined ? "" : `${object.namespace}/`}${object.name}`,
      message,
      ...(mend === undefined ? {} : { mend }),
    })),
  };
}

/** The load balancer's address of the ingress controller. */
export function ingressAddress(snapshot: Snapshot): string | undefined {
  return snapshot.services.get(`${ingressService.namespace}/${ingressService.name}`)?.loadBalancerIPs[0];
}

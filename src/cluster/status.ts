/** What `inroad status` shows, from the snapshot. */
import { certificateFor, describeFault, externalAddresses, type Fault, type Snapshot } from "#model";
import { mtuText, type NodeMtu } from "#path/node";
import type { ClusterConfig } from "./config.ts";
import type { ClusterStatus } from "./messages.ts";
import { ingressService } from "./system.ts";

/** What is no part of the snapshot. */
interface LiveFacts {
  /** What users should know of the network. */
  readonly notes: readonly string[];
  readonly mtuOf: (node: string) => NodeMtu | undefined;
  readonly faults: readonly Fault[];
}

/** @param waitingFor what is not ready yet, in words */
export function statusOf(
  config: ClusterConfig,
  snapshot: Snapshot,
  waitingFor: readonly string[],
  facts: LiveFacts,
): ClusterStatus {
  const address = ingressAddress(snapshot);
  return {
    name: config.name,
    ready: waitingFor.length === 0,
    waitingFor,
    proxyMode: config.proxyMode,
    overlay: config.proxyMode === "userspace" ? "no overlay" : config.overlay,
    ipFamilies: config.ipFamilies,
    rootless: !config.root,
    notes: facts.notes,
    nodes: [...snapshot.nodes.values()].map((node) => ({
      name: node.name,
      address: node.address,
      addresses: node.addresses,
      ready: node.ready,
      mtu: facts.mtuOf(node.name)?.pods ?? 0,
    })),
    pods: [...snapshot.pods.values()].map((pod) => ({
      namespace: pod.namespace,
      name: pod.name,
      node: pod.node ?? "",
      address: pod.address ?? "",
      addresses: pod.addresses,
      ready: pod.ready,
    })),
    services: [...snapshot.services.values()].map((service) => ({
      namespace: service.namespace,
      name: service.name,
      type: service.type,
      clusterIP: service.headless ? "None" : (service.clusterIPs[0] ?? ""),
      addresses: externalAddresses(service),
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
    faults: facts.faults.map((fault) => ({ ...fault, text: describeFault(fault) })),
    findings: [...snapshot.findings, ...narrowPaths(snapshot, facts.mtuOf)].map(
      ({ severity, object, message, mend }) => ({
        severity,
        object: `${object.kind} ${object.namespace === undefined ? "" : `${object.namespace}/`}${object.name}`,
        message,
        ...(mend === undefined ? {} : { mend }),
      }),
    ),
  };
}

/** Nodes whose paths carry less than their devices promise. */
function narrowPaths(snapshot: Snapshot, mtuOf: (node: string) => NodeMtu | undefined) {
  return [...snapshot.nodes.keys()].flatMap((name) => {
    const mtu = mtuOf(name);
    if (mtu?.narrowest === undefined) return [];
    return [
      {
        severity: "warning",
        object: { kind: "Node", name, namespace: undefined },
        message: mtuText(mtu, name),
        mend: "give the underlay between these nodes the MTU that its devices have",
      },
    ];
  });
}

/** The load balancer's address of the ingress controller. */
export function ingressAddress(snapshot: Snapshot): string | undefined {
  return snapshot.services.get(`${ingressService.namespace}/${ingressService.name}`)?.loadBalancerIPs[0];
}

/** Pods of a Service -> endpoints and ports. Pure; shared by EndpointSlices and the older Endpoints. */
import type { ContainerPort } from "kubernetes-types/core/v1.js";
import type { Endpoint as EndpointWire, EndpointPort } from "kubernetes-types/discovery/v1.js";
import { isIPv4, isIPv6 } from "#lib/ip";
import {
  isDeleting,
  isServing,
  isTerminal,
  nameOf,
  namespaceOf,
  type Node,
  type Pod,
  type Service,
  uidOf,
} from "./objects.ts";
import { zoneOf } from "./zone-shares.ts";

export type Family = "IPv4" | "IPv6";

/** Hints may name nodes since Kubernetes 1.33, which the published types do not know yet. */
export type Endpoint = EndpointWire & { hints?: { forNodes?: { name: string }[] } };

/** The label that marks slices and Endpoints of headless Services; kube-proxy passes those over. */
export const headlessLabel = "service.kubernetes.io/headless";

export function isHeadless(service: Service): boolean {
  return service.spec?.clusterIP === "None";
}

/** Whether this Service's endpoints are the controllers' to keep. */
export function hasManagedEndpoints(service: Service): boolean {
  return Object.keys(service.spec?.selector ?? {}).length > 0 && service.spec?.type !== "ExternalName";
}

export function familiesOf(service: Service): readonly Family[] {
  const families = (service.spec?.ipFamilies ?? []).filter(
    (family) => family === "IPv4" || family === "IPv6",
  );
  return families.length === 0 ? ["IPv4"] : families;
}

/** The pod's first address of a family. */
export function addressOf(pod: Pod, family: Family): string | undefined {
  const addresses = [...(pod.status?.podIPs ?? []).map(({ ip }) => ip), pod.status?.podIP];
  return addresses.find((ip) => ip !== undefined && (family === "IPv4" ? isIPv4(ip) : isIPv6(ip)));
}

/** A pod is an endpoint as long as it has an address and has not ended; also while it is terminating. */
export function endpointOf(
  service: Service,
  pod: Pod,
  family: Family,
  node: Node | undefined,
): Endpoint | undefined {
  const address = addressOf(pod, family);
  if (address === undefined || isTerminal(pod)) return undefined;
  const serving = isServing(pod);
  const terminating = isDeleting(pod);
  const ready = service.spec?.publishNotReadyAddresses === true || (serving && !terminating);
  const hostname = hostnameOf(service, pod);
  const zone = zoneOf(node);
  return {
    addresses: [address],
    conditions: { ready, serving, terminating },
    ...(hostname === undefined ? {} : { hostname }),
    ...(pod.spec?.nodeName ? { nodeName: pod.spec.nodeName } : {}),
    ...(zone === undefined ? {} : { zone }),
    targetRef: { kind: "Pod", namespace: namespaceOf(pod), name: nameOf(pod), uid: uidOf(pod) },
  };
}

/** The pod's own DNS name below the Service, if it asks for one there. */
export function hostnameOf(service: Service, pod: Pod): string | undefined {
  const { hostname, subdomain } = pod.spec ?? {};
  return hostname && subdomain === nameOf(service) ? hostname : undefined;
}

/** The Service's ports as this pod has them; a named targetPort that it does not have is left out. */
export function portsOf(service: Service, pod: Pod): EndpointPort[] {
  return (service.spec?.ports ?? []).flatMap(
    ({ name = "", protocol = "TCP", port, targetPort, appProtocol }) => {
      const number =
        typeof targetPort === "string" ? namedPort(pod, targetPort, protocol) : targetPort || port;
      if (number === undefined) return [];
      return [{ name, protocol, port: number, ...(appProtocol === undefined ? {} : { appProtocol }) }];
    },
  );
}

function namedPort(pod: Pod, name: string, protocol: string): number | undefined {
  // Init containers that restart always (sidecars) serve as long as the pod does.
  const sidecars = (pod.spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
  return [...(pod.spec?.containers ?? []), ...sidecars]
    .flatMap(({ ports = [] }): readonly ContainerPort[] => ports)
    .find((port) => port.name === name && (port.protocol ?? "TCP") === protocol)?.containerPort;
}

/** What of a pod its endpoints depend on: a change of anything else is none for its Services. */
export function endpointFacts(pod: Pod): unknown {
  const { phase, podIP, podIPs } = pod.status ?? {};
  const { nodeName, hostname, subdomain } = pod.spec ?? {};
  return [
    pod.metadata?.labels,
    phase,
    podIP,
    podIPs,
    isServing(pod),
    isDeleting(pod),
    nodeName,
    hostname,
    subdomain,
  ];
}

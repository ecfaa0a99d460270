/** How ends and places are written in sentences. */
import { withPort } from "#lib/ip";
import type { Place } from "./flow.ts";

/** `10.96.1.1:80`, `[fd00::1]:80`; only the address where the port is not known. */
export function endpointText(end: {
  readonly address?: string;
  readonly name?: string;
  readonly port?: number;
}): string {
  const address = end.address ?? end.name ?? "?";
  return end.port === undefined ? address : withPort(address, end.port);
}

/** `node node-a`, `pod default/api-1`, `the cluster DNS`: how a place is called in sentences. */
export function placeName(place: Place): string {
  switch (place.at) {
    case "public-dns":
      return "the public DNS";
    case "cluster-dns":
      return "the cluster DNS";
    case "edge":
      return "the load balancer";
    case "proxy":
      return `the Service rules of ${place.node}`;
    case "node":
      return `node ${place.node}`;
    case "pod":
      return `pod ${place.pod.namespace}/${place.pod.name}`;
    default:
      return `ingress ${place.pod.namespace}/${place.pod.name}`;
  }
}

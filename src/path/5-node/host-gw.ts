/**
 * Plain routes, as Flannel's host-gw and Calico without encapsulation set them: every node is the gateway to its pods.
 * Needs nodes that reach each other without a router between them. Pure.
 */
import { nodeEnds, shownMetric, type NodeEnd } from "./families.ts";
import type { OverlayPlan } from "./overlay.ts";
import {
  backendDataAnnotation,
  backendTypeAnnotation,
  publicIpAnnotation,
  underlayDevice,
} from "./settings.ts";

export const hostGateway: OverlayPlan = {
  overhead: 0,
  annotations: ({ address }) => ({
    [backendDataAnnotation]: "null",
    [backendTypeAnnotation]: "host-gw",
    [publicIpAnnotation]: address,
  }),
  device: () => [],
  isAnnounced: () => true,
  remote(node) {
    const ends = nodeEnds(node);
    return {
      ip: ends.map((end) => `route replace ${route(end)}`),
      bridge: [],
      removeIp: ends.map(({ podCIDR }) => `route delete ${podCIDR}`),
      removeBridge: [],
    };
  },
  // The underlay's own device keeps its MTU: it serves to find out when the path carries more again.
  resize: (mtu, remotes) =>
    remotes.flatMap((node) => nodeEnds(node).map((end) => `route replace ${route(end)} mtu ${mtu}`)),
  route,
};

function route({ family, address, podCIDR }: NodeEnd): string {
  return `${podCIDR} via ${address} dev ${underlayDevice}${shownMetric(family)}`;
}

/**
 * The overlay as Flannel builds it (flannel `pkg/backend/vxlan`): pods' packets travel inside of UDP datagrams between the
 * nodes' IPv4 addresses. One device carries both families; Flannel has a second one, whose datagrams are IPv6. Pure.
 */
import { createHash } from "node:crypto";
import { addressAt } from "#lib/ip";
import { nodeEnds, shownMetric, type NodeEnd } from "./families.ts";
import type { OverlayPlan } from "./overlay.ts";
import {
  backendDataAnnotation,
  backendTypeAnnotation,
  overlayDevice,
  publicIpAnnotation,
  underlayDevice,
  vxlanId,
  vxlanPort,
} from "./settings.ts";

export const vxlan: OverlayPlan = {
  // Outer IPv4 (20), UDP (8), VXLAN (8) and inner Ethernet header (14).
  overhead: 50,
  annotations: ({ name, address }) => ({
    [backendDataAnnotation]: JSON.stringify({ VNI: vxlanId, VtepMAC: vtepMac(name) }),
    [backendTypeAnnotation]: "vxlan",
    [publicIpAnnotation]: address,
  }),
  device: (node, mtu) => [
    `link add ${overlayDevice} mtu ${mtu} address ${vtepMac(node.name)} type vxlan id ${vxlanId} ` +
      `dstport ${vxlanPort} local ${node.address} dev ${underlayDevice} nolearning`,
    // Only IPv4 chooses a source by device; with IPv6 a node's packets bear its InternalIP wherever they go.
    `address add ${vtepAddress(node.podCIDR)}/32 dev ${overlayDevice}`,
    `link set ${overlayDevice} up`,
  ],
  isAnnounced: (node) => node.vtepMac !== undefined,
  /** Neighbour, then forwarding entry, then route, as Flannel does. */
  remote(node) {
    const { vtepMac: mac = "", addresses } = node;
    const ends = nodeEnds(node);
    const outer = nodeEnds(node).find(({ family }) => family === "IPv4")?.address ?? addresses[0] ?? "";
    return {
      ip: ends.flatMap((end) => [
        `neighbour replace ${vtepAddress(end.podCIDR)} lladdr ${mac} dev ${overlayDevice} nud permanent`,
        `route replace ${route(end)}`,
      ]),
      bridge: [`fdb replace ${mac} dev ${overlayDevice} dst ${outer} self permanent`],
      removeIp: ends.flatMap(({ podCIDR }) => [
        `route delete ${podCIDR}`,
        `neighbour delete ${vtepAddress(podCIDR)} dev ${overlayDevice}`,
      ]),
      removeBridge: [`fdb delete ${mac} dev ${overlayDevice} dst ${outer} self`],
    };
  },
  resize: (mtu) => [`link set ${overlayDevice} mtu ${mtu}`],
  route,
};

/** MAC of a node's tunnel endpoint: the same for the same name, locally administered, unicast. */
export function vtepMac(node: string): string {
  const digest = createHash("sha256").update(`vtep ${node}`).digest("hex");
  return ["02", ...(digest.slice(0, 10).match(/../g) ?? [])].join(":");
}

/** First address of the node's pods, `.0` or `::`: the tunnel endpoint. */
export function vtepAddress(podCIDR: string): string {
  return addressAt(podCIDR, 0);
}

function route({ family, podCIDR }: NodeEnd): string {
  return `${podCIDR} via ${vtepAddress(podCIDR)} dev ${overlayDevice}${shownMetric(family)} onlink`;
}

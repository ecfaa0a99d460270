/** The link of a pod to its node, routed as Calico's are: a host address on a veth pair and an on-link gateway. Pure. */
import { createHash } from "node:crypto";
import { familyOf, isIPv4 } from "#lib/ip";
import { shownMetric } from "./families.ts";
import { podGatewayMac, podGateways } from "./settings.ts";

export interface PodLink {
  /** One of each family, the primary one first. */
  readonly addresses: readonly string[];
  /** The node's end; the pod's end is always eth0. */
  readonly device: string;
  readonly mac: string;
}

/** The link of a pod: device name from its identity, MAC from its IPv4 address as CNI's bridge plugin forms it. */
export function podLink(pod: { namespace: string; name: string }, addresses: readonly string[]): PodLink {
  const octets = (addresses.find(isIPv4) ?? "0.0.0.0").split(".");
  return {
    addresses,
    device: podDevice(pod),
    mac: `0a:58:${octets.map((part) => Number(part).toString(16).padStart(2, "0")).join(":")}`,
  };
}

function podDevice({ namespace, name }: { namespace: string; name: string }): string {
  return `veth${createHash("sha256").update(`pod ${namespace}/${name}`).digest("hex").slice(0, 8)}`;
}

export interface LinkPlan {
  /** Node namespace, for ip. */
  readonly node: readonly string[];
  /** Pod namespace, for ip, after the node's part. */
  readonly pod: readonly string[];
  /** Node namespace: takes it all away again. */
  readonly remove: readonly string[];
}

/** The veth pair of a pod. Both ends know their neighbour, so nothing waits for ARP or neighbour discovery. */
export function planPod({ addresses, device, mac }: PodLink, mtu: number, path: string): LinkPlan {
  return {
    node: [
      `link add ${device} mtu ${mtu} address ${podGatewayMac} type veth ` +
        `peer name eth0 mtu ${mtu} address ${mac} netns ${path}`,
      `link set ${device} up`,
      ...addresses.flatMap((address) => [
        `neighbour replace ${address} lladdr ${mac} dev ${device} nud permanent`,
        `route replace ${podRoute(address, device)}`,
      ]),
    ],
    pod: [
      "link set lo up",
      ...addresses.map((address) => `address add ${address}/${isIPv4(address) ? 32 : 128} dev eth0`),
      "link set eth0 up",
      ...addresses.flatMap(gatewayLines),
    ],
    remove: [`link delete ${device}`],
  };
}

function gatewayLines(address: string): string[] {
  const gateway = podGateways[familyOf(address)];
  return [
    `neighbour replace ${gateway} lladdr ${podGatewayMac} dev eth0 nud permanent`,
    `route add ${gateway} dev eth0`,
    `route add default via ${gateway} dev eth0`,
  ];
}

/** The node's route to one address of its pods, as `ip route` shows it. */
export function podRoute(address: string, device: string): string {
  const scope = isIPv4(address) ? " scope link" : "";
  return `${address} dev ${device}${scope}${shownMetric(familyOf(address))}`;
}

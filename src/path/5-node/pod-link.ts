/** The link of a pod to its node, routed as Calico's are: a host address on a veth pair and an on-link gateway. Pure. */
import { createHash } from "node:crypto";
import { addressNumber, familyOf, isIPv4 } from "#lib/ip";
import { deviceAddress, shownMetric } from "./families.ts";
import { podGatewayMac, podGateways } from "./settings.ts";

export interface PodLink {
  /** One of each family, the primary one first. */
  readonly addresses: readonly string[];
  /** The node's end. */
  readonly device: string;
  readonly mac: string;
}

/** The link of a pod of the cluster. */
export function podLink(
  { namespace, name }: { namespace: string; name: string },
  addresses: readonly string[],
): PodLink {
  return linkFor(`pod ${namespace}/${name}`, addresses);
}

/** A link by what it is for: the device's name is made of that, the MAC of the IPv4 address as CNI's bridge plugin forms it. */
export function linkFor(identity: string, addresses: readonly string[]): PodLink {
  const hash = createHash("sha256").update(identity).digest("hex");
  return { addresses, device: `veth${hash.slice(0, 8)}`, mac: macOf(addresses) };
}

/** Without IPv4 the end of the IPv6 address takes its place. */
function macOf(addresses: readonly string[]): string {
  const address = addresses.find(isIPv4) ?? addresses[0] ?? "0.0.0.0";
  const digits = (addressNumber(address) & 0xffffffffn).toString(16).padStart(8, "0");
  return `0a:58:${digits.match(/../g)?.join(":")}`;
}

export interface LinkPlan {
  /** Node namespace, for ip. */
  readonly node: readonly string[];
  /** Pod namespace, for ip, after the node's part. */
  readonly pod: readonly string[];
  /** Node namespace: takes it all away again. */
  readonly remove: readonly string[];
}

/**
 * The veth pair of a pod, whose end is called `name`. Both ends know their neighbour, so nothing waits for ARP or neighbour
 * discovery.
 */
export function planPod(
  { addresses, device, mac }: PodLink,
  mtu: number,
  path: string,
  name = "eth0",
): LinkPlan {
  return {
    node: [
      `link add ${device} mtu ${mtu} address ${podGatewayMac} type veth ` +
        `peer name ${name} mtu ${mtu} address ${mac} netns ${path}`,
      `link set ${device} up`,
      ...addresses.flatMap((address) => [
        `neighbour replace ${address} lladdr ${mac} dev ${device} nud permanent`,
        `route replace ${podRoute(address, device)}`,
      ]),
    ],
    pod: [
      ...addresses.map((address) => deviceAddress(hostNetwork(address), name)),
      `link set ${name} up`,
      ...addresses.flatMap((address) => gatewayLines(address, name)),
    ],
    remove: [`link delete ${device}`],
  };
}

/** The network of one address: `10.244.0.2/32`. */
export function hostNetwork(address: string): string {
  return `${address}/${isIPv4(address) ? 32 : 128}`;
}

function gatewayLines(address: string, name: string): string[] {
  const gateway = podGateways[familyOf(address)];
  return [
    `neighbour replace ${gateway} lladdr ${podGatewayMac} dev ${name} nud permanent`,
    `route add ${gateway} dev ${name}`,
    `route add default via ${gateway} dev ${name}`,
  ];
}

/** The node's route to one address of its pods, as `ip route` shows it. */
export function podRoute(address: string, device: string): string {
  const scope = isIPv4(address) ? " scope link" : "";
  return `${address} dev ${device}${scope}${shownMetric(familyOf(address))}`;
}

/** Names in the proxy's own nftables tables: one of each family, with the same content. */
import type { IpFamily, Protocol } from "#model";

const TABLE = "inroad-proxy";

/** `ip inroad-proxy`: every message to nft names one of these two tables and no other. */
export function tableOf(family: IpFamily): string {
  return `${family === "IPv4" ? "ip" : "ip6"} ${TABLE}`;
}

/** The mark of connections whose source is to be rewritten: the bit that kube-proxy uses, and Flannel respects. */
export const MASQUERADE_MARK = "0x4000";

/** `svc/default/api-service/tcp/http`, or `svc-local/...` for the endpoints of this node only. */
export function chainOf(list: string): string {
  return `svc${pathOf(list)}`;
}

/** The chain that leads known clients to the endpoint that they met. */
export function knownChainOf(list: string): string {
  return `known${pathOf(list)}`;
}

/** The chain that remembers which endpoint a client met. */
export function recorderOf(list: string): string {
  return `remember${pathOf(list)}`;
}

/** The map from clients to the address that they met; one for each port that endpoints of the list have. */
export function affinityMapOf(list: string, port: number): string {
  return `affinity${pathOf(list)}/${port}`;
}

/** The families have tables of their own: the names in them are the same. */
function pathOf(list: string): string {
  const [servicePort = "", ...variant] = list.split(" ");
  const [, name = "", port = "", protocol = ""] = /^(.*):([^/]*)\/(\w+)$/.exec(servicePort) ?? [];
  return `${variant.includes("local") ? "-local" : ""}/${name}/${protocol.toLowerCase()}/${port}`;
}

/** Slots that one endpoint map has room for, and maps for each protocol. */
const MAP_SLOTS = 8192;
const MAPS = 16;

/**
 * The map with the endpoints of a list whose block begins at an offset. One for each protocol, since nft wants to know which protocol's
 * port a map yields; and several of these, since the kernel looks at all elements of a map for each rule that uses it, and
 * at all such rules for each element, which makes large maps slow to load.
 */
export function endpointMapOf(protocol: Protocol, offset: number): string {
  const number = Math.floor(offset / MAP_SLOTS) % MAPS;
  return `endpoints-${protocol.toLowerCase()}${number === 0 ? "" : `-${number}`}`;
}

/** All of a protocol's. */
export function endpointMaps(protocol: Protocol): readonly string[] {
  return Array.from({ length: MAPS }, (_, number) => endpointMapOf(protocol, number * MAP_SLOTS));
}

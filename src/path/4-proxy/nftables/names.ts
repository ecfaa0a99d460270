/** Names in the proxy's own nftables table. */
import type { Protocol } from "#model";

const TABLE = "inroad-proxy";

/** Every message to nft names this table and no other. */
export const IN_TABLE = `ip ${TABLE}`;

/** The mark of connections whose source is to be rewritten: the bit that kube-proxy uses, and Flannel respects. */
export const MASQUERADE_MARK = "0x4000";

/** `svc/default/api-service/tcp/http`, or `svc-local/...` for the endpoints of this node only. */
export function chainOf(list: string): string {
  const [servicePort = "", local] = list.split(" ");
  const [, name = "", port = "", protocol = ""] = /^(.*):([^/]*)\/(\w+)$/.exec(servicePort) ?? [];
  return `${local === undefined ? "svc" : "svc-local"}/${name}/${protocol.toLowerCase()}/${port}`;
}

/** One map per protocol: nft wants to know which protocol's port a map yields. */
export function endpointMapOf(protocol: Protocol): string {
  return `endpoints-${protocol.toLowerCase()}`;
}

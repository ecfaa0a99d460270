/** Nodes for this folder's tests. */
import type { NodeIdentity } from "./plan.ts";

export const nodeA: NodeIdentity = identity("node-a", 0);
export const nodeB: NodeIdentity = identity("node-b", 1);
/** node-a with both address families. */
export const dualNode: NodeIdentity = {
  ...nodeA,
  addresses: [nodeA.address, "fd00:172:30::11"],
  podCIDRs: [nodeA.podCIDR, "fd00:10:244::/64"],
};

/** The n-th node of an IPv4 cluster, from 0. */
export function identity(name: string, n: number): NodeIdentity {
  const address = `172.30.0.${11 + n}`;
  const podCIDR = `10.244.${n}.0/24`;
  return { name, address, addresses: [address], podCIDR, podCIDRs: [podCIDR] };
}

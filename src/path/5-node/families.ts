/** What a node, a pod or the cluster has of one address family. Pure. */
import { familyOf, type IpFamily } from "#lib/ip";
import type { NodeModel } from "#model";

/** A node's address and its pods' addresses, both of one family. */
export interface NodeEnd {
  readonly family: IpFamily;
  readonly address: string;
  readonly podCIDR: string;
}

/** The families that a node has both an address and a pod CIDR of, in the order of its pod CIDRs. */
export function nodeEnds({ addresses, podCIDRs }: Pick<NodeModel, "addresses" | "podCIDRs">): NodeEnd[] {
  return podCIDRs.flatMap((podCIDR) => {
    const family = familyOf(podCIDR);
    const address = sameFamily(addresses, podCIDR);
    return address === undefined ? [] : [{ family, address, podCIDR }];
  });
}

/** The first address or network in the list that is of the same family as the given one. */
export function sameFamily(list: readonly string[], as: string): string | undefined {
  return list.find((one) => familyOf(one) === familyOf(as));
}

/** `ip route` shows the metric of every route of IPv6, and none of those of IPv4. */
export function shownMetric(family: IpFamily): string {
  return family === "IPv6" ? " metric 1024" : "";
}

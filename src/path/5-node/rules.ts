/** A node's packet rules, one table for each address family. Pure text. */
import type { IpFamily } from "#lib/ip";
import { nodeEnds, sameFamily } from "./families.ts";
import type { NodeIdentity } from "./plan.ts";
import { leftByMark, overlayDevice, underlayDevice, type NodeNetworkSettings } from "./settings.ts";

const words: Readonly<Record<IpFamily, { table: string; multicast: string }>> = {
  IPv4: { table: "ip", multicast: "224.0.0.0/4" },
  IPv6: { table: "ip6", multicast: "ff00::/8" },
};

/**
 * Masquerading in Flannel's order (flannel `pkg/trafficmngr/nftables`), and the evidence of how a connection's first packet
 * left.
 */
export function planRules(node: NodeIdentity, settings: NodeNetworkSettings): string {
  return nodeEnds(node)
    .map(({ family, podCIDR }) =>
      tableOf(family, podCIDR, sameFamily(settings.podNetworks, podCIDR) ?? podCIDR),
    )
    .join("");
}

function tableOf(family: IpFamily, own: string, all: string): string {
  const { table: ip, multicast } = words[family];
  return `add table ${ip} inroad-node
delete table ${ip} inroad-node
table ${ip} inroad-node {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    meta mark & 0x4000 == 0x4000 return comment "left to the Service proxy"
    ${ip} saddr ${own} ${ip} daddr ${all} return comment "pod to cluster"
    ${ip} saddr ${all} ${ip} daddr ${own} return comment "cluster to pod"
    ${ip} saddr != ${own} ${ip} daddr ${own} return comment "outside to pod keeps its source"
    ${ip} saddr ${all} ${ip} daddr != ${multicast} masquerade fully-random comment "pod to outside"
    ${ip} saddr != ${all} ${ip} daddr ${all} masquerade fully-random comment "outside to a pod elsewhere"
  }
  chain evidence {
    type filter hook postrouting priority mangle; policy accept;
    ct state new oifname "${overlayDevice}" ct mark set ct mark | ${hex(leftByMark.overlay)} return
    ct state new oifname "veth*" ct mark set ct mark | ${hex(leftByMark.pod)} return
    ct state new oifname "${underlayDevice}" ct mark set ct mark | ${hex(leftByMark.underlay)} return
  }
}
`;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

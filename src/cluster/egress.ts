/** The cluster's side of the way out: home sends what is not its own through `egress0`, under that device's address. */
import { ipBatch, nft, setSysctls, type NetNs } from "#kernel";
import { addresses } from "./config.ts";

export const egressDevice = "egress0";

export interface EgressLink {
  /** Address and prefix of our end, and the host's end as gateway; absent where the device came configured. */
  readonly address?: string;
  readonly gateway?: string;
}

/** Puts the device to use. Everything that leaves by it is masqueraded: nobody outside knows the cluster's addresses. */
export async function useEgress(home: NetNs, link: EgressLink): Promise<void> {
  setSysctls(home, { "net/ipv4/ip_forward": "1" });
  if (link.address !== undefined && link.gateway !== undefined) {
    await ipBatch(home, [
      `address add ${link.address} dev ${egressDevice}`,
      `link set ${egressDevice} up`,
      `route replace default via ${link.gateway} dev ${egressDevice}`,
    ]);
  }
  await ipBatch(home, [`route replace ${addresses.outside} via ${addresses.edge}`]);
  await nft(
    home,
    `table ip inroad-egress {
      chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        oifname "${egressDevice}" masquerade
      }
    }
    `,
  );
}

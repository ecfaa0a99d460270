/** Which connections NetworkPolicies kept back on a node lately, read from the kernel's own record of them. */
import type { PolicyDirection } from "#model";

/** A connection that was kept back within the last minute: its ends as it leaves the node, before masquerading. */
export interface DeniedConnection {
  readonly direction: PolicyDirection;
  /** `tcp`, `udp`, `sctp`. */
  readonly protocol: string;
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
}

interface Listing {
  readonly nftables?: readonly {
    readonly set?: {
      readonly elem?: readonly { readonly elem?: { readonly val?: { readonly concat?: unknown } } }[];
    };
  }[];
}

/** What `nft -j list set` says of a set of such connections. */
export function readDenied(json: string, direction: PolicyDirection): DeniedConnection[] {
  const { nftables = [] }: Listing = JSON.parse(json);
  return nftables
    .flatMap(({ set }) => set?.elem ?? [])
    .flatMap(({ elem }) => {
      const parts: unknown = elem?.val?.concat;
      if (!Array.isArray(parts)) return [];
      const [source, sourcePort, destination, destinationPort, protocol] = parts.map(String);
      return [
        {
          direction,
          protocol: protocol ?? "",
          source: source ?? "",
          sourcePort: Number(sourcePort),
          destination: destination ?? "",
          destinationPort: Number(destinationPort),
        },
      ];
    });
}

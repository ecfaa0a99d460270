/** Address -> names, for PTR records. */
import { canonicalAddress } from "#lib/ip";
import type { Snapshot } from "#model";
import { baseOf, endpointName, readyOf } from "./entries.ts";
import { isExposed } from "./find.ts";
import type { ZoneOptions } from "./options.ts";

/**
 * Looks the names of an address up (relative to the zone): the Service whose ClusterIP it is, else all ready
 * endpoints with this address. The index is built at the first call, because few clusters ever ask.
 */
export function reverseIndex(
  snapshot: Snapshot,
  options: ZoneOptions,
): (address: string) => readonly string[] {
  let index: ReadonlyMap<string, readonly string[]> | undefined;
  return (address) => {
    index ??= buildIndex(snapshot, options);
    return index.get(canonicalAddress(address) ?? "") ?? [];
  };
}

function buildIndex(snapshot: Snapshot, options: ZoneOptions): ReadonlyMap<string, readonly string[]> {
  const clusterIPs = new Map<string, string[]>();
  const endpoints = new Map<string, Set<string>>();
  for (const service of snapshot.services.values()) {
    if (!isExposed(service.namespace, options)) continue;
    const base = baseOf(service);
    for (const address of service.clusterIPs) if (!clusterIPs.has(address)) clusterIPs.set(address, [base]);
    const all = [...service.ports.flatMap((port) => port.endpoints), ...(service.portlessEndpoints ?? [])];
    for (const endpoint of readyOf(all)) {
      const names = endpoints.get(endpoint.address) ?? new Set();
      endpoints.set(endpoint.address, names.add(`${endpointName(endpoint, options)}.${base}`));
    }
  }
  return new Map([
    ...[...endpoints].map(([address, names]) => [address, [...names]] as const),
    ...clusterIPs,
  ]);
}

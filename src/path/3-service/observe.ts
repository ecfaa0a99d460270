/** What the cluster DNS really answers to a pod: a query sent with the pod's own resolver settings. */
import type { PodAt } from "#model";
import { resolveName, type DnsSockets, type Resolution } from "#serve/dns";
import { formatRecord } from "#wire/dns";
import { podSearch } from "./search.ts";

export interface ObservedName {
  readonly resolution: Resolution;
  /** IPv4 addresses in the order of the answer; none when there was no answer. */
  readonly addresses: readonly string[];
  /** One line per name tried, and one per record. */
  readonly evidence: readonly string[];
}

/**
 * Asks for the A records of a name as a program in `pod` would.
 * @param options.sockets open sockets in the pod's network namespace.
 * @param options.server ClusterIP of the cluster DNS.
 */
export async function observe(
  name: string,
  pod: PodAt,
  options: {
    readonly domain: string;
    readonly server: string;
    readonly sockets: DnsSockets;
    readonly timeoutMs?: number;
  },
): Promise<ObservedName> {
  const { domain, server, sockets, timeoutMs = 1000 } = options;
  const nameservers = [{ address: server, port: 53 }];
  const config = { ...podSearch(domain, pod.namespace), nameservers, sockets, timeoutMs };
  const resolution = await resolveName(config, name, "A");
  const tried = resolution.tried.map(
    (entry) => `${entry.name} A ${entry.reason ?? entry.outcome} (${entry.server ?? server})`,
  );
  return {
    resolution,
    addresses: resolution.records.flatMap((record) => (record.type === "A" ? [record.address] : [])),
    evidence: [...tried, ...resolution.records.map(formatRecord)],
  };
}

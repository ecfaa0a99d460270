/** The server as a whole, for this folder's tests. */
import type { TestContext } from "node:test";
import { silentLog } from "#lib/log";
import type { Snapshot } from "#model";
import { resolveName, type Resolution } from "#serve/dns";
import { decodeMessage, encodeMessage, rcodes, type ResourceRecord } from "#wire/dns";
import { startDns, type ClusterDns, type ClusterDnsOptions } from "./apply.ts";
import type { Forward } from "./forward.ts";
import { podSearch } from "./search.ts";
import { cluster } from "./testing.ts";

export interface Running {
  readonly ask: (name: string, type?: string) => Promise<Resolution>;
  readonly dns: ClusterDns;
  readonly ports: Awaited<ClusterDns["ports"]>;
  readonly set: (snapshot: Snapshot) => void;
}

/** A server on loopback whose cluster can be changed, and a client in a pod of namespace `default`. */
export async function start(
  t: TestContext,
  options: Partial<ClusterDnsOptions> = {},
  synced?: Promise<void>,
  first: Snapshot = cluster,
): Promise<Running> {
  let snapshot = first;
  const listeners = new Set<(next: Snapshot) => void>();
  const source = {
    current: () => snapshot,
    subscribe(listener: (next: Snapshot) => void) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    ...(synced === undefined ? {} : { synced }),
  };
  const loopback = { address: "127.0.0.1", port: 0 };
  const dns = startDns({ source, listen: { udp: loopback, tcp: loopback }, log: silentLog, ...options });
  t.after(() => dns.close());
  const ports = await dns.ports;
  if (synced === undefined) await dns.ready;
  const nameservers = [{ address: "127.0.0.1", port: ports.udp ?? 0 }];
  return {
    dns,
    ports,
    ask: (name, type = "A") =>
      resolveName(
        { ...podSearch("cluster.local", "default"), nameservers, timeoutMs: 1000, attempts: 1 },
        name,
        type,
      ),
    set(next) {
      snapshot = next;
      for (const listener of listeners) listener(next);
    },
  };
}

/** An upstream that knows some addresses, and counts. */
export function upstream(
  zone: Readonly<Record<string, readonly string[]>>,
  ttl = 60,
): Forward & { asked: string[] } {
  const asked: string[] = [];
  const forward: Forward = async (bytes) => {
    const query = decodeMessage(bytes);
    const name = query.questions[0]?.name ?? "";
    asked.push(name);
    const addresses = zone[name];
    const answers = (addresses ?? []).map((address): ResourceRecord => ({ name, ttl, type: "A", address }));
    const rcode = addresses === undefined ? rcodes.NXDOMAIN : rcodes.NOERROR;
    return encodeMessage({ ...query, response: true, recursionAvailable: true, rcode, answers });
  };
  return Object.assign(forward, { asked });
}

/** The DNS of the world outside: knows the hosts of Ingresses and of annotated Services, and nothing else. */
import type { Log } from "#lib/log";
import type { Snapshot, SnapshotSource } from "#model";
import { startDnsServer, type DnsListen, type DnsReply, type DnsServer } from "#serve/dns";
import { rcodes, wildcardOf, type ResourceRecord } from "#wire/dns";

/** Seconds. */
const TTL = 5;

/** The addresses of a public name (any case, with or without a dot at its end); undefined if nobody owns it. */
export function publicAddresses(snapshot: Snapshot, name: string): readonly string[] | undefined {
  const host = name.toLowerCase().replace(/\.$/, "");
  return snapshot.publicNames?.get(host) ?? snapshot.publicNames?.get(wildcardOf(host));
}

/** The answer of the public DNS. It is authoritative for everything: other names are NXDOMAIN. IPv4 only. */
export function publicAnswer(snapshot: Snapshot, name: string, type: string, serial: number): DnsReply {
  const addresses = publicAddresses(snapshot, name);
  const found = type === "A" ? (addresses ?? []) : [];
  const answers = found.map((address): ResourceRecord => ({ name, ttl: TTL, type: "A", address }));
  const rcode = addresses === undefined ? rcodes.NXDOMAIN : rcodes.NOERROR;
  if (answers.length > 0) return { rcode, authoritative: true, answers };
  return { rcode, authoritative: true, authorities: [rootSoa(serial)] };
}

function rootSoa(serial: number): ResourceRecord {
  return {
    name: ".",
    ttl: TTL,
    type: "SOA",
    primary: "ns.public-dns.invalid.",
    mailbox: "hostmaster.public-dns.invalid.",
    serial,
    refresh: 7200,
    retry: 1800,
    expire: 86400,
    minimum: TTL,
  };
}

export interface PublicDns {
  readonly ready: Promise<void>;
  close(): Promise<void>;
}

/** Serves the public DNS: descriptors or addresses in the namespace of the world outside. */
export function startPublicDns(options: {
  readonly source: SnapshotSource & { readonly synced?: Promise<void> };
  readonly listen: { readonly udp?: DnsListen; readonly tcp?: DnsListen };
  readonly log: Log;
}): PublicDns {
  const { source, listen, log } = options;
  let synced = false;
  const server: Promise<DnsServer> = startDnsServer({
    ...listen,
    log,
    handler: ({ question }) => {
      if (!synced) return { rcode: rcodes.SERVFAIL };
      return publicAnswer(source.current(), question.name, question.type, Math.floor(Date.now() / 1000));
    },
  });
  const known = (source.synced ?? Promise.resolve()).then(() => {
    synced = true;
  });
  const ready = Promise.all([server, known]).then(() => undefined);
  ready.catch(() => undefined);
  return {
    ready,
    close: async () => (await server).close(),
  };
}

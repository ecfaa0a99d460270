/** The DNS of the world outside: knows the hosts of Ingresses and of annotated Services, and nothing else. */
import { familyOf } from "#lib/ip";
import type { Log } from "#lib/log";
import { followPublicName, type PublicName, type Snapshot, type SnapshotSource } from "#model";
import { startDnsServer, type DnsListen, type DnsReply, type DnsServer } from "#serve/dns";
import { absoluteName, rcodes, type ResourceRecord } from "#wire/dns";

/** Seconds, where no annotation says another. */
const TTL = 5;

/**
 * The answer of the public DNS. It is authoritative for everything: other names are NXDOMAIN. An alias that leads out of it
 * is answered alone, for the resolver to follow.
 * @param serial of the SOA record that denials carry.
 */
export function publicAnswer(snapshot: Snapshot, name: string, type: string, serial: number): DnsReply {
  const { aliases, end } = followPublicName(snapshot, name);
  if (aliases.length === 0 && end === undefined) return denial(rcodes.NXDOMAIN, serial);
  let owner = name;
  const chain = aliases.map(({ target, ttl = TTL }): ResourceRecord => {
    const alias = { name: owner, ttl, type: "CNAME", target: absoluteName(target) } as const;
    owner = alias.target;
    return alias;
  });
  const answers = [...chain, ...addressRecords(owner, type, end)];
  if (answers.length === 0) return denial(rcodes.NOERROR, serial);
  return { rcode: rcodes.NOERROR, authoritative: true, answers };
}

function addressRecords(name: string, type: string, entry: PublicName | undefined): ResourceRecord[] {
  return (entry?.addresses ?? []).flatMap((address): ResourceRecord[] => {
    const own = familyOf(address) === "IPv4" ? "A" : "AAAA";
    return own === type ? [{ name, ttl: entry?.ttl ?? TTL, type: own, address }] : [];
  });
}

function denial(rcode: number, serial: number): DnsReply {
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

/** The DNS of the world outside: knows the hosts of Ingresses and of annotated Services, and nothing else. */
import { familyOf } from "#lib/ip";
import type { Log } from "#lib/log";
import { followPublicName, type PublicName, type Snapshot, type SnapshotSource } from "#model";
import { startDnsServer, type DnsListen, type DnsReply, type DnsServer } from "#serve/dns";
import { absoluteName, isInZone, rcodes, type ResourceRecord } from "#wire/dns";

/** Seconds, where no annotation says another. */
const TTL = 5;

export interface PublicZones {
  /** The zones it answers for, absolute and in lower case; all the world (the root) if not given. Other names are REFUSED. */
  readonly zones?: readonly string[];
  /** Of the SOA record that denials carry. */
  readonly serial: number;
}

/**
 * The answer of the public DNS. It is authoritative: names of its zones that nobody owns are NXDOMAIN. An alias that leads
 * out of it is answered alone, for the resolver to follow.
 */
export function publicAnswer(
  snapshot: Snapshot,
  name: string,
  type: string,
  { zones = ["."], serial }: PublicZones,
): DnsReply {
  const lower = name.toLowerCase();
  const [zone] = zones.filter((each) => isInZone(lower, each)).sort((a, b) => b.length - a.length);
  if (zone === undefined || type === "AXFR" || type === "IXFR") return { rcode: rcodes.REFUSED };
  if (lower === zone && type === "SOA") return positive([soa(zone, serial)]);
  const { aliases, end } = followPublicName(snapshot, name);
  if (aliases.length === 0 && end === undefined) {
    return denial(isLeading(snapshot, lower, zone) ? rcodes.NOERROR : rcodes.NXDOMAIN, zone, serial);
  }
  let owner = name;
  const chain = aliases.map(({ target, ttl = TTL }): ResourceRecord => {
    const alias = { name: owner, ttl, type: "CNAME", target: absoluteName(target) } as const;
    owner = alias.target;
    return alias;
  });
  const answers = [...chain, ...addressRecords(owner, type, end)];
  return answers.length === 0 ? denial(rcodes.NOERROR, zone, serial) : positive(answers);
}

/** The zone itself, and names that only lead to others below them, exist without records (RFC 8020). */
function isLeading(snapshot: Snapshot, name: string, zone: string): boolean {
  const below = `.${name.slice(0, -1)}`;
  return name === zone || [...(snapshot.publicNames?.keys() ?? [])].some((each) => each.endsWith(below));
}

function positive(answers: readonly ResourceRecord[]): DnsReply {
  return { rcode: rcodes.NOERROR, authoritative: true, answers };
}

function addressRecords(name: string, type: string, entry: PublicName | undefined): ResourceRecord[] {
  return (entry?.addresses ?? []).flatMap((address): ResourceRecord[] => {
    const own = familyOf(address) === "IPv4" ? "A" : "AAAA";
    return own === type ? [{ name, ttl: entry?.ttl ?? TTL, type: own, address }] : [];
  });
}

function denial(rcode: number, zone: string, serial: number): DnsReply {
  return { rcode, authoritative: true, authorities: [soa(zone, serial)] };
}

/** Whose the zone is, nobody can say: `.invalid` names never resolve (RFC 6761 section 6.4). */
function soa(zone: string, serial: number): ResourceRecord {
  return {
    name: zone,
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
  /** The zones it answers for; all the world if not given. */
  readonly zones?: readonly string[];
  readonly log: Log;
}): PublicDns {
  const { source, listen, log } = options;
  const zones = options.zones?.map((zone) => absoluteName(zone.toLowerCase()));
  let synced = false;
  const server: Promise<DnsServer> = startDnsServer({
    ...listen,
    log,
    handler: ({ question }) => {
      if (!synced) return { rcode: rcodes.SERVFAIL };
      return publicAnswer(source.current(), question.name, question.type, {
        ...(zones === undefined ? {} : { zones }),
        serial: Math.floor(Date.now() / 1000),
      });
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

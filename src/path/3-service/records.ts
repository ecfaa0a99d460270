/** Records of what a name stands for. */
import { familyOf } from "#lib/ip";
import type { Snapshot } from "#model";
import { absoluteName, type RecordData, type ResourceRecord } from "#wire/dns";
import type { Entry } from "./entries.ts";
import { dnsService, type Found } from "./find.ts";

/** Seconds; CoreDNS' own value. */
const VERSION_TTL = 28800;

/** What all records of a zone have in common. */
export interface ZoneFacts {
  /** Absolute, in lower case. */
  readonly origin: string;
  /** Seconds. */
  readonly ttl: number;
}

export function soa(apex: string, { origin, ttl }: ZoneFacts, serial: number): ResourceRecord {
  return {
    name: apex,
    ttl,
    type: "SOA",
    primary: `ns.dns.${origin}`,
    mailbox: `hostmaster.${origin}`,
    serial,
    refresh: 7200,
    retry: 1800,
    expire: 86400,
    minimum: ttl,
  };
}

export interface Sections {
  readonly answers: readonly ResourceRecord[];
  readonly additionals: readonly ResourceRecord[];
}

/** The records of one type under a name; none where it has no such records. */
export function recordsOf(name: string, type: string, found: Found, facts: ZoneFacts): Sections {
  const records = (...data: RecordData[]): Sections => ({
    answers: data.map((entry) => ({ name, ttl: facts.ttl, ...entry })),
    additionals: [],
  });
  if (found.kind === "text" && type === "TXT") {
    return { answers: [{ name, ttl: VERSION_TTL, type: "TXT", texts: [found.text] }], additionals: [] };
  }
  if (found.kind === "alias" && type === "CNAME")
    return records({ type, target: absoluteName(found.target) });
  if (found.kind !== "entries") return records();
  if (type === "A" || type === "AAAA") {
    return { answers: addressRecords(name, type, found.entries, facts.ttl), additionals: [] };
  }
  return type === "SRV" ? serviceRecords(name, found.entries, facts) : records();
}

/** A or AAAA records, without duplicates. */
export function addressRecords(
  name: string,
  type: "A" | "AAAA",
  entries: readonly Pick<Entry, "address">[],
  ttl: number,
): ResourceRecord[] {
  const addresses = new Set(entries.map((entry) => entry.address));
  return [...addresses]
    .filter((address) => typeOf(address) === type)
    .map((address) => ({ name, ttl, type, address }));
}

function typeOf(address: string): "A" | "AAAA" {
  return familyOf(address) === "IPv4" ? "A" : "AAAA";
}

/** SRV records with one weight for all (100 over their number), and the addresses of their targets (RFC 2782). */
function serviceRecords(name: string, entries: readonly Entry[], { origin, ttl }: ZoneFacts): Sections {
  const weight = Math.max(1, Math.floor(100 / entries.length));
  const answers = new Map<string, ResourceRecord>();
  const additionals = new Map<string, ResourceRecord>();
  for (const { address, port, target: relative } of entries) {
    if (port === undefined) continue;
    const target = `${relative}.${origin}`;
    answers.set(`${target} ${port}`, { name, ttl, type: "SRV", priority: 0, weight, port, target });
    additionals.set(`${target} ${address}`, { name: target, ttl, type: typeOf(address), address });
  }
  return { answers: [...answers.values()], additionals: [...additionals.values()] };
}

/** NS records of the zone: the cluster DNS' own Service. */
export function nameServers(name: string, { origin, ttl }: ZoneFacts, snapshot: Snapshot): Sections {
  const service = snapshot.services.get(dnsService);
  if (service === undefined || service.clusterIPs.length === 0) return { answers: [], additionals: [] };
  const target = `${service.name}.${service.namespace}.svc.${origin}`;
  return {
    answers: [{ name, ttl, type: "NS", target }],
    additionals: service.clusterIPs.map((address) => ({
      name: target,
      ttl,
      type: typeOf(address),
      address,
    })),
  };
}

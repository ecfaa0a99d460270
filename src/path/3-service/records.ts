/** Records of what a name stands for. */
import { familyOf } from "#lib/ip";
import type { Snapshot } from "#model";
import { absoluteName, type ResourceRecord } from "#wire/dns";
import type { Entries } from "./entries.ts";
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

const nothing: Sections = { answers: [], additionals: [] };

/** The records of one type under a name; none where it has no such records. */
export function recordsOf(name: string, type: string, found: Found, facts: ZoneFacts): Sections {
  if (found.kind === "entries") return entryRecords(name, type, found.entries, facts);
  if (found.kind === "text" && type === "TXT") {
    return { ...nothing, answers: [{ name, ttl: VERSION_TTL, type: "TXT", texts: [found.text] }] };
  }
  if (found.kind !== "alias" || type !== "CNAME") return nothing;
  return { ...nothing, answers: [{ name, ttl: facts.ttl, type, target: absoluteName(found.target) }] };
}

function entryRecords(name: string, type: string, entries: Entries, facts: ZoneFacts): Sections {
  if (type === "SRV") return serviceRecords(name, entries, facts);
  if (type !== "A" && type !== "AAAA") return nothing;
  return { answers: addressRecords(name, type, entries.addresses, facts.ttl), additionals: [] };
}

/** A or AAAA records, without duplicates. */
export function addressRecords(
  name: string,
  type: "A" | "AAAA",
  addresses: readonly string[],
  ttl: number,
): ResourceRecord[] {
  const records: ResourceRecord[] = [];
  // Most names have one address; a set is made for those that have more.
  const seen = addresses.length > 1 ? new Set<string>() : undefined;
  for (const address of addresses) {
    if (typeOf(address) !== type || seen?.has(address) === true) continue;
    seen?.add(address);
    records.push({ name, ttl, type, address });
  }
  return records;
}

function typeOf(address: string): "A" | "AAAA" {
  return familyOf(address) === "IPv4" ? "A" : "AAAA";
}

/** SRV records with one weight for all (100 over their number), and the addresses of their targets (RFC 2782). */
function serviceRecords(name: string, entries: Entries, { origin, ttl }: ZoneFacts): Sections {
  const all = entries.all();
  const weight = Math.max(1, Math.floor(100 / all.length));
  const answers = new Map<string, ResourceRecord>();
  const additionals = new Map<string, ResourceRecord>();
  for (const { address, port, target: relative } of all) {
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

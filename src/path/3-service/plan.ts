/**
 * The answers of the cluster DNS for one snapshot. Nothing is computed ahead: a query is answered by looking its
 * labels up in the snapshot's own maps, so a change of the cluster costs nothing here.
 */
import type { DnsReply } from "#serve/dns";
import type { Snapshot } from "#model";
import {
  absoluteName,
  addressOfReverseName,
  isInZone,
  labelsOf,
  rcodes,
  wildcardOf,
  type RecordData,
  type ResourceRecord,
} from "#wire/dns";
import { dnsService, find, type Entry, type Found } from "./find.ts";
import { reverseIndex } from "./reverse.ts";

/** Seconds, CoreDNS' default for the kubernetes plugin. */
const TTL = 5;
const VERSION_TTL = 28800;
const MAX_ALIASES = 8;
const reverseZones = ["in-addr.arpa.", "ip6.arpa."];

export interface ZoneAnswer {
  readonly reply: DnsReply;
  /** Why there is nothing, for people; only with NXDOMAIN. */
  readonly reason?: string;
  /** The last CNAME leads to this name, which only an upstream resolver can complete. */
  readonly completeWith?: string;
}

export interface Zone {
  /**
   * The answer to a question (absolute name in any case), or `forward` for a name that is neither of the cluster nor
   * the host of an Ingress.
   */
  answer(name: string, type: string): ZoneAnswer | "forward";
}

/**
 * The zone of a snapshot.
 * @param serial of the SOA record: the time of the last change, seconds since 1970.
 */
export function planZone(snapshot: Snapshot, serial: number): Zone {
  const origin = absoluteName(snapshot.domain.toLowerCase());
  const reverse = reverseIndex(snapshot);
  const negative = (rcode: number, apex: string, reason?: string): ZoneAnswer => ({
    reply: { rcode, authoritative: true, authorities: [soa(apex, origin, serial)] },
    ...(reason === undefined ? {} : { reason }),
  });

  const answer = (asked: string, type: string, depth: number): ZoneAnswer | "forward" => {
    const name = asked.toLowerCase();
    if (isInZone(name, origin)) return answerInZone(asked, name, type, depth);
    const reverseZone = reverseZones.find((zone) => isInZone(name, zone));
    if (reverseZone !== undefined) return answerReverse(asked, name, type, reverseZone);
    return answerPublic(asked, name, type);
  };

  const answerInZone = (asked: string, name: string, type: string, depth: number): ZoneAnswer => {
    if (type === "AXFR" || type === "IXFR") return { reply: { rcode: rcodes.REFUSED } };
    if (name === origin && type === "SOA") return positive([soa(origin, origin, serial)]);
    const labels = labelsOf(name.slice(0, name.length - origin.length) || ".");
    const found = find(snapshot, labels);
    if (found.kind === "missing") return negative(rcodes.NXDOMAIN, origin, found.reason);
    if (found.kind === "alias" && (type === "A" || type === "AAAA")) {
      return followAlias(asked, absoluteName(found.target), type, depth);
    }
    const { answers, additionals } =
      name === origin && type === "NS"
        ? nameServers(asked, origin, snapshot)
        : recordsOf(asked, type, found, origin);
    if (answers.length === 0) return negative(rcodes.NOERROR, origin);
    return positive(answers, additionals);
  };

  const followAlias = (asked: string, target: string, type: string, depth: number): ZoneAnswer => {
    const cname: ResourceRecord = { name: asked, ttl: TTL, type: "CNAME", target };
    const next = depth < MAX_ALIASES ? answer(target, type, depth + 1) : negative(rcodes.NOERROR, origin);
    if (next === "forward") return { ...positive([cname]), completeWith: target };
    const { answers = [] } = next.reply;
    // As CoreDNS does: an alias that leads to nothing in the cluster is NODATA.
    if (answers.length === 0) return negative(rcodes.NOERROR, origin);
    return { ...next, reply: { ...next.reply, answers: [cname, ...answers] } };
  };

  const answerReverse = (asked: string, name: string, type: string, zone: string): ZoneAnswer | "forward" => {
    if (name === zone) return negative(rcodes.NOERROR, zone);
    const address = addressOfReverseName(name);
    const targets = address === undefined ? [] : reverse(address);
    if (targets.length === 0) return "forward";
    if (type !== "PTR") return negative(rcodes.NOERROR, zone);
    return positive(
      targets.map((target) => ({ name: asked, ttl: TTL, type: "PTR", target: `${target}.${origin}` })),
    );
  };

  /** Hosts of Ingresses stay in the cluster: the public name leads to the load balancer, as it does outside. */
  const answerPublic = (asked: string, name: string, type: string): ZoneAnswer | "forward" => {
    const host = name.slice(0, -1);
    const addresses = snapshot.publicNames?.get(host) ?? snapshot.publicNames?.get(wildcardOf(host));
    if (addresses === undefined) return "forward";
    const entries = addresses.map((address) => ({ address, port: undefined, target: host }));
    const answers = type === "A" || type === "AAAA" ? addressRecords(asked, type, entries) : [];
    return answers.length > 0 ? positive(answers) : negative(rcodes.NOERROR, name);
  };

  return { answer: (name, type) => answer(name, type, 0) };
}

function positive(
  answers: readonly ResourceRecord[],
  additionals: readonly ResourceRecord[] = [],
): ZoneAnswer {
  return { reply: { rcode: rcodes.NOERROR, authoritative: true, answers, additionals } };
}

function soa(apex: string, origin: string, serial: number): ResourceRecord {
  return {
    name: apex,
    ttl: TTL,
    type: "SOA",
    primary: `ns.dns.${origin}`,
    mailbox: `hostmaster.${origin}`,
    serial,
    refresh: 7200,
    retry: 1800,
    expire: 86400,
    minimum: TTL,
  };
}

interface Sections {
  readonly answers: readonly ResourceRecord[];
  readonly additionals: readonly ResourceRecord[];
}

function recordsOf(name: string, type: string, found: Found, origin: string): Sections {
  const records = (...data: RecordData[]): Sections => ({
    answers: data.map((entry) => ({ name, ttl: TTL, ...entry })),
    additionals: [],
  });
  if (found.kind === "text" && type === "TXT") {
    return { answers: [{ name, ttl: VERSION_TTL, type: "TXT", texts: [found.text] }], additionals: [] };
  }
  if (found.kind === "alias" && type === "CNAME")
    return records({ type, target: absoluteName(found.target) });
  if (found.kind !== "entries") return records();
  if (type === "A" || type === "AAAA") {
    return { answers: addressRecords(name, type, found.entries), additionals: [] };
  }
  return type === "SRV" ? serviceRecords(name, found.entries, origin) : records();
}

function addressRecords(name: string, type: "A" | "AAAA", entries: readonly Entry[]): ResourceRecord[] {
  const addresses = new Set(entries.map((entry) => entry.address));
  return [...addresses]
    .filter((address) => typeOf(address) === type)
    .map((address) => ({ name, ttl: TTL, type, address }));
}

function typeOf(address: string): "A" | "AAAA" {
  return address.includes(":") ? "AAAA" : "A";
}

/** SRV records with one weight for all (100 over their number), and the addresses of their targets (RFC 2782). */
function serviceRecords(name: string, entries: readonly Entry[], origin: string): Sections {
  const weight = Math.max(1, Math.floor(100 / entries.length));
  const answers = new Map<string, ResourceRecord>();
  const additionals = new Map<string, ResourceRecord>();
  for (const { address, port, target: relative } of entries) {
    if (port === undefined) continue;
    const target = `${relative}.${origin}`;
    answers.set(`${target} ${port}`, { name, ttl: TTL, type: "SRV", priority: 0, weight, port, target });
    additionals.set(`${target} ${address}`, { name: target, ttl: TTL, type: typeOf(address), address });
  }
  return { answers: [...answers.values()], additionals: [...additionals.values()] };
}

function nameServers(name: string, origin: string, snapshot: Snapshot): Sections {
  const service = snapshot.services.get(dnsService);
  if (service === undefined || service.clusterIPs.length === 0) return { answers: [], additionals: [] };
  const target = `${service.name}.${service.namespace}.svc.${origin}`;
  return {
    answers: [{ name, ttl: TTL, type: "NS", target }],
    additionals: service.clusterIPs.map((address) => ({
      name: target,
      ttl: TTL,
      type: typeOf(address),
      address,
    })),
  };
}

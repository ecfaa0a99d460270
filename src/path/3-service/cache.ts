/** Answers of upstreams, kept for as long as they say, within limits (RFC 1035 section 7.4, RFC 2308). */
import type { DnsQuery } from "#serve/dns";
import { questionEnd, rcodes, ttlOffsets, withId, type Message } from "#wire/dns";
import type { DnsMetrics } from "./metrics.ts";

/** Nothing is kept longer, seconds: CoreDNS' `cache 30`. */
const MAX_TTL = 30;
/** Nothing larger is kept, bytes: a full cache of the largest messages would be 640 MB. */
const MAX_BYTES = 8192;

type Kind = "success" | "denial";

interface Cached {
  readonly kind: Kind;
  readonly bytes: Uint8Array;
  readonly offsets: readonly number[];
  readonly storedAt: number;
  readonly expiresAt: number;
}

/** Whole answers for a while; when there are too many, the oldest go. */
export function createCache(maxEntries: number, metrics: DnsMetrics | undefined) {
  const entries = new Map<string, Cached>();
  const sizes = { success: 0, denial: 0 };
  const resize = (kind: Kind, by: 1 | -1): void => {
    sizes[kind] += by;
    metrics?.cacheSize(kind, sizes[kind]);
  };
  const remove = (key: string): Kind | undefined => {
    const kind = entries.get(key)?.kind;
    if (kind === undefined) return undefined;
    entries.delete(key);
    resize(kind, -1);
    return kind;
  };
  return {
    find(key: string, now: number): Cached | undefined {
      const found = entries.get(key);
      if (found !== undefined && found.expiresAt > now) {
        metrics?.cacheHit(found.kind);
        return found;
      }
      remove(key);
      metrics?.cacheMiss();
      return undefined;
    },
    keep(key: string, bytes: Uint8Array, message: Message, storedAt: number): void {
      const seconds = Math.min(MAX_TTL, timeToLive(message));
      if (seconds <= 0 || bytes.length > MAX_BYTES) return;
      remove(key);
      const kind = isDenial(message) ? "denial" : "success";
      entries.set(key, {
        kind,
        bytes,
        offsets: ttlOffsets(bytes),
        storedAt,
        expiresAt: storedAt + seconds * 1000,
      });
      resize(kind, 1);
      const [oldest] = entries.size > maxEntries ? entries.keys() : [];
      const evicted = oldest === undefined ? undefined : remove(oldest);
      if (evicted !== undefined) metrics?.cacheEviction(evicted);
    },
  };
}

function isDenial(message: Message): boolean {
  return message.rcode === rcodes.NXDOMAIN || message.answers.length === 0;
}

/** How long a response may be kept, seconds: the lowest TTL, or that of the denial (RFC 2308 section 5); else 0. */
function timeToLive(message: Message): number {
  const good = message.rcode === rcodes.NOERROR || message.rcode === rcodes.NXDOMAIN;
  if (!good || message.truncated) return 0;
  const denies = isDenial(message);
  const soa = message.authorities.find((record) => record.type === "SOA");
  if (denies && soa === undefined) return 0;
  const records = [...message.answers, ...message.authorities, ...message.additionals];
  return Math.min(
    ...records.map((record) => record.ttl),
    soa?.type === "SOA" && denies ? soa.minimum : MAX_TTL,
  );
}

/** A kept response for another client: its id and the case of its question, and TTLs that have gone down. */
export function fromCache(cached: Cached, query: DnsQuery, now: number): Uint8Array {
  const bytes = Buffer.from(cached.bytes);
  const age = Math.floor((now - cached.storedAt) / 1000);
  for (const offset of cached.offsets) {
    const ttl = Math.min(bytes.readUInt32BE(offset), MAX_TTL);
    bytes.writeUInt32BE(Math.max(0, ttl - age), offset);
  }
  // Equal but for case, and neither is compressed: the first name of a message stands in full.
  bytes.set(query.bytes.subarray(12, questionEnd(query.bytes)), 12);
  return withId(bytes, query.message.id);
}

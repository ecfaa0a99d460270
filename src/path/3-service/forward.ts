/** Names of the outside world: passed on to an upstream resolver, with a small cache and a limit. */
import { messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import type { DnsPeer, DnsQuery, DnsReply } from "#serve/dns";
import {
  decodeMessage,
  encodeMessage,
  rcodes,
  ttlOffsets,
  type Message,
  type ResourceRecord,
} from "#wire/dns";

/** Carries one query to an upstream and its response back; rejects when none answers. */
export type Forward = (query: Uint8Array, transport: DnsPeer["transport"]) => Promise<Uint8Array>;

export interface Forwarding {
  /** The response for the client: the upstream's own bytes, REFUSED beyond the limit, SERVFAIL without an upstream. */
  answer(query: DnsQuery, transport: DnsPeer["transport"]): Promise<DnsReply | Uint8Array>;
  /** The answer records for a name, as far as the upstream knows it; empty when it fails. */
  complete(
    query: DnsQuery,
    name: string,
    transport: DnsPeer["transport"],
  ): Promise<readonly ResourceRecord[]>;
}

interface ForwardingOptions {
  /** Without it every name is answered with SERVFAIL. */
  readonly forward: Forward | undefined;
  readonly log: Log;
  /** Milliseconds. */
  readonly now: () => number;
  /** Responses kept at most; the oldest go first. */
  readonly maxEntries?: number;
  /** Queries under way at most; CoreDNS' usual max_concurrent. */
  readonly maxConcurrent?: number;
}

/** Nothing is kept longer, seconds: CoreDNS' `cache 30`. */
const MAX_TTL = 30;

interface Cached {
  readonly bytes: Uint8Array;
  readonly offsets: readonly number[];
  readonly storedAt: number;
  readonly expiresAt: number;
}

export function createForwarding(options: ForwardingOptions): Forwarding {
  const { forward, log, now, maxEntries = 10_000, maxConcurrent = 1000 } = options;
  const cache = new Map<string, Cached>();
  let underWay = 0;
  let failing = false;

  const report = (error?: unknown): void => {
    const fails = error !== undefined;
    if (fails && !failing) log.warn("upstream resolver does not answer", { error: messageOf(error) });
    if (!fails && failing) log.info("upstream resolver answers again");
    failing = fails;
  };

  const keep = (key: string, bytes: Uint8Array, message: Message): void => {
    const seconds = Math.min(MAX_TTL, timeToLive(message));
    if (seconds <= 0) return;
    const storedAt = now();
    cache.delete(key);
    cache.set(key, { bytes, offsets: ttlOffsets(bytes), storedAt, expiresAt: storedAt + seconds * 1000 });
    const oldest = cache.size > maxEntries ? cache.keys().next().value : undefined;
    if (oldest !== undefined) cache.delete(oldest);
  };

  const answer: Forwarding["answer"] = async (query, transport) => {
    const key = keyOf(query);
    const cached = cache.get(key);
    if (cached !== undefined && cached.expiresAt > now()) return fromCache(cached, query, now());
    if (forward === undefined) return { rcode: rcodes.SERVFAIL };
    if (underWay >= maxConcurrent) return { rcode: rcodes.REFUSED };
    underWay += 1;
    try {
      const bytes = await forward(query.bytes, transport);
      keep(key, bytes, checkedResponse(query, bytes));
      report();
      return bytes;
    } catch (error) {
      report(error);
      return { rcode: rcodes.SERVFAIL };
    } finally {
      underWay -= 1;
    }
  };

  return {
    answer,
    async complete(query, name, transport) {
      const question = { ...query.question, name };
      const message: Message = { ...query.message, recursionDesired: true, questions: [question] };
      const reply = await answer({ question, message, bytes: encodeMessage(message) }, transport);
      return reply instanceof Uint8Array ? decodeMessage(reply).answers : [];
    },
  };
}

/** Everything that changes an upstream's response. */
function keyOf({ question, message }: DnsQuery): string {
  const { recursionDesired, checkingDisabled, edns } = message;
  const flags = [recursionDesired, checkingDisabled, edns !== undefined, edns?.dnssecOk === true];
  return `${question.name.toLowerCase()} ${question.type} ${flags.map(Number).join("")}`;
}

/** The response as a value. Throws if it is no response to this query. */
function checkedResponse(query: DnsQuery, bytes: Uint8Array): Message {
  const message = decodeMessage(bytes);
  const [question] = message.questions;
  const same =
    message.response &&
    message.id === query.message.id &&
    question?.name.toLowerCase() === query.question.name.toLowerCase() &&
    question.type === query.question.type;
  if (!same) throw new Error("the upstream's response belongs to another query");
  return message;
}

/** How long a response may be kept, seconds: the lowest TTL, or that of the denial (RFC 2308 section 5); else 0. */
function timeToLive(message: Message): number {
  const good = message.rcode === rcodes.NOERROR || message.rcode === rcodes.NXDOMAIN;
  if (!good || message.truncated) return 0;
  const denies = message.rcode === rcodes.NXDOMAIN || message.answers.length === 0;
  const soa = message.authorities.find((record) => record.type === "SOA");
  if (denies && soa === undefined) return 0;
  const records = [...message.answers, ...message.authorities, ...message.additionals];
  return Math.min(
    ...records.map((record) => record.ttl),
    soa?.type === "SOA" && denies ? soa.minimum : MAX_TTL,
  );
}

/** A kept response for another client: its id and the case of its question, and TTLs that have gone down. */
function fromCache(cached: Cached, query: DnsQuery, now: number): Uint8Array {
  const bytes = Buffer.from(cached.bytes);
  const age = Math.floor((now - cached.storedAt) / 1000);
  for (const offset of cached.offsets) {
    const ttl = Math.min(bytes.readUInt32BE(offset), MAX_TTL);
    bytes.writeUInt32BE(Math.max(0, ttl - age), offset);
  }
  bytes.writeUInt16BE(query.message.id, 0);
  // Equal but for case, and neither is compressed: the first name of a message stands in full.
  const nameEnd = 12 + wireLength(query.bytes);
  bytes.set(query.bytes.subarray(12, nameEnd), 12);
  return bytes;
}

function wireLength(query: Uint8Array): number {
  let at = 12;
  while ((query[at] ?? 0) !== 0) at += 1 + (query[at] ?? 0);
  return at + 1 - 12;
}

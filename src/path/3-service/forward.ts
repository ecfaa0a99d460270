/** Names of the outside world: passed on to an upstream resolver, with a small cache and a limit. */
import { messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import type { DnsPeer, DnsQuery, DnsReply } from "#serve/dns";
import {
  absoluteName,
  decodeMessage,
  encodeMessage,
  isInZone,
  questionEnd,
  rcodes,
  ttlOffsets,
  withId,
  type Message,
} from "#wire/dns";
import type { DnsMetrics } from "./metrics.ts";

/** Carries one query to an upstream and its response back; rejects when none answers. */
export type Forward = (query: Uint8Array, transport: DnsPeer["transport"]) => Promise<Uint8Array>;

export interface Forwarding {
  /** The response for the client: the upstream's own bytes, REFUSED beyond the limit, SERVFAIL without an upstream. */
  answer(query: DnsQuery, transport: DnsPeer["transport"]): Promise<DnsReply | Uint8Array>;
  /** What the upstream says to the same question about another name; SERVFAIL when it fails. */
  resolve(query: DnsQuery, name: string, transport: DnsPeer["transport"]): Promise<Message>;
}

/** Resolvers of their own for a domain and all names below it. */
export interface StubDomain {
  /** `consul.local`, in any case. */
  readonly domain: string;
  readonly forward: Forward;
}

interface ForwardingOptions {
  /** Without it every name is answered with SERVFAIL. */
  readonly forward: Forward | undefined;
  /** The most specific one that fits decides. */
  readonly stubDomains?: readonly StubDomain[];
  readonly metrics?: DnsMetrics;
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

type Kind = "success" | "denial";

interface Cached {
  readonly kind: Kind;
  readonly bytes: Uint8Array;
  readonly offsets: readonly number[];
  readonly storedAt: number;
  readonly expiresAt: number;
}

export function createForwarding(options: ForwardingOptions): Forwarding {
  const { log, now, metrics, maxConcurrent = 1000 } = options;
  const cache = createCache(options.maxEntries ?? 10_000, metrics);
  const forwardFor = chooseForward(options);
  const report = reporter(log);
  let underWay = 0;

  const fetch = async (forward: Forward, query: DnsQuery, transport: DnsPeer["transport"]) => {
    if (underWay >= maxConcurrent) {
      metrics?.rejected();
      return { rcode: rcodes.REFUSED };
    }
    underWay += 1;
    try {
      const bytes = await forward(query.bytes, transport);
      cache.keep(keyOf(query), bytes, checkedResponse(query, bytes), now());
      report();
      return bytes;
    } catch (error) {
      report(error);
      return { rcode: rcodes.SERVFAIL };
    } finally {
      underWay -= 1;
    }
  };
  const answer: Forwarding["answer"] = async (query, transport) => {
    const cached = cache.find(keyOf(query), now());
    if (cached !== undefined) return fromCache(cached, query, now());
    const forward = forwardFor(query.question.name);
    return forward === undefined ? { rcode: rcodes.SERVFAIL } : fetch(forward, query, transport);
  };

  return {
    answer,
    async resolve(query, name, transport) {
      const question = { ...query.question, name };
      const message: Message = { ...query.message, recursionDesired: true, questions: [question] };
      const reply = await answer({ question, message, bytes: encodeMessage(message) }, transport);
      return reply instanceof Uint8Array ? decodeMessage(reply) : { ...message, rcode: reply.rcode };
    },
  };
}

function chooseForward({
  forward,
  stubDomains = [],
}: ForwardingOptions): (name: string) => Forward | undefined {
  const byLength = stubDomains
    .map((stub) => ({ ...stub, domain: absoluteName(stub.domain.toLowerCase()) }))
    .sort((a, b) => b.domain.length - a.domain.length);
  return (name) =>
    (byLength.find(({ domain }) => isInZone(name.toLowerCase(), domain)) ?? { forward }).forward;
}

/** Says once that upstreams fail, and once that they answer again. */
function reporter(log: Log): (error?: unknown) => void {
  let failing = false;
  return (error) => {
    const fails = error !== undefined;
    if (fails && !failing) log.warn("upstream resolver does not answer", { error: messageOf(error) });
    if (!fails && failing) log.info("upstream resolver answers again");
    failing = fails;
  };
}

/** Whole answers for a while; when there are too many, the oldest go. */
function createCache(maxEntries: number, metrics: DnsMetrics | undefined) {
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
      if (seconds <= 0) return;
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
function fromCache(cached: Cached, query: DnsQuery, now: number): Uint8Array {
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

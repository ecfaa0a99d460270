/** Names of the outside world: passed on to an upstream resolver, with a small cache and a limit. */
import { messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import type { DnsPeer, DnsQuery, DnsReply } from "#serve/dns";
import { absoluteName, decodeMessage, encodeMessage, isInZone, rcodes, type Message } from "#wire/dns";
import { createCache, fromCache } from "./cache.ts";
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

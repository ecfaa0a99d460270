/** What a DNS server does with the bytes of one query, whatever transport they came by. */
import { messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import { decodeHeader, decodeMessage, rcodes, withId, type Edns, type Question } from "#wire/dns";
import type { KeptAnswers } from "./dns-kept.ts";
import { bareReply, finish, type DnsPeer, type DnsQuery, type DnsReply } from "./dns-response.ts";

/** Answers a query: with values, or with the bytes of a whole response that bears the query's id and question. */
export type DnsHandler = (
  query: DnsQuery,
  peer: DnsPeer,
) => DnsReply | Uint8Array | Promise<DnsReply | Uint8Array>;

/** What a query asked, as far as counters and logs want to know. */
export interface Asked {
  readonly question: Question;
  readonly edns: Edns | undefined;
}

/** What came, and what was sent for it. */
export interface Answered {
  /** Undefined when the request was no query that can be read. */
  readonly asked: Asked | undefined;
  readonly peer: DnsPeer;
  readonly request: Uint8Array;
  readonly reply: Uint8Array;
  /** From the request to the reply. */
  readonly milliseconds: number;
}

export interface Answering {
  readonly handler: DnsHandler;
  readonly log: Log;
  /** Hears of every answer; for counters and logs. */
  readonly onAnswer?: ((answered: Answered) => void) | undefined;
  /** Answers to UDP queries that last. */
  readonly kept?: KeptAnswers | undefined;
}

/**
 * The bytes to send back; undefined for what deserves no answer (no header, or itself a response).
 * Never rejects: a handler that fails is answered with SERVFAIL, and logged.
 */
export function answerBytes(
  bytes: Uint8Array,
  peer: DnsPeer,
  answering: Answering,
): Uint8Array | undefined | Promise<Uint8Array> {
  const header = decodeHeader(bytes);
  if (header === undefined || header.response) return undefined;
  const { onAnswer } = answering;
  const started = onAnswer === undefined ? 0 : performance.now();
  const told = (reply: Uint8Array, asked: Asked | undefined): Uint8Array => {
    onAnswer?.({ asked, peer, request: bytes, reply, milliseconds: performance.now() - started });
    return reply;
  };
  const kept = peer.transport === "udp" ? answering.kept : undefined;
  const known = kept?.find(bytes);
  if (known !== undefined) return told(withId(known.reply, header.id), known.asked);
  const query = readQuery(bytes);
  if (typeof query === "number") return told(bareReply(header, query), undefined);
  const reply = replyBytes(query, peer, { ...answering, kept });
  return reply instanceof Promise
    ? reply.then((value) => told(value, askedBy(query)))
    : told(reply, askedBy(query));
}

function askedBy({ question, message: { edns } }: DnsQuery): Asked {
  return { question, edns };
}

function replyBytes(
  query: DnsQuery,
  peer: DnsPeer,
  { handler, log, kept }: Answering,
): Uint8Array | Promise<Uint8Array> {
  const refusal = refusalOf(query);
  if (refusal !== undefined) return finish(query, peer, { rcode: refusal });
  const failed = (error: unknown): Uint8Array => {
    log.error("DNS query failed", { name: query.question.name, error: messageOf(error) });
    return finish(query, peer, { rcode: rcodes.SERVFAIL });
  };
  try {
    const reply = handler(query, peer);
    if (reply instanceof Promise) return reply.then((value) => finish(query, peer, value)).catch(failed);
    const bytes = finish(query, peer, reply);
    if (!(reply instanceof Uint8Array) && reply.lasting === true)
      kept?.keep(query.bytes, { reply: bytes, asked: askedBy(query) });
    return bytes;
  } catch (error) {
    return failed(error);
  }
}

/** The query, or the response code for bytes that are none. */
function readQuery(bytes: Uint8Array): DnsQuery | number {
  try {
    const message = decodeMessage(bytes);
    const [question] = message.questions;
    if (message.opcode !== 0) return rcodes.NOTIMP;
    if (question === undefined || message.questions.length > 1) return rcodes.FORMERR;
    return { message, question, bytes };
  } catch {
    return (decodeHeader(bytes)?.opcode ?? 0) === 0 ? rcodes.FORMERR : rcodes.NOTIMP;
  }
}

function refusalOf({ message, question }: DnsQuery): number | undefined {
  if ((message.edns?.version ?? 0) > 0) return rcodes.BADVERS;
  return question.class === 1 ? undefined : rcodes.REFUSED;
}

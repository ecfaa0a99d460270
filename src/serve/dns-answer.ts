/** What a DNS server does with the bytes of one query, whatever transport they came by. */
import { messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import {
  decodeHeader,
  decodeMessage,
  encodeMessage,
  rcodes,
  type Edns,
  type Message,
  type Question,
  type ResourceRecord,
  withId,
} from "#wire/dns";
import type { KeptAnswers } from "./dns-kept.ts";

/**
 * Most that we send in one UDP datagram and announce in EDNS, bytes: fits every usual MTU, VXLAN's included,
 * so that nothing is ever fragmented (RFC 9715).
 */
export const MAX_UDP = 1232;

/** A query that is well-formed: QUERY, one question, class IN, EDNS version 0 or none. */
export interface DnsQuery {
  readonly question: Question;
  readonly message: Message;
  /** As it came. */
  readonly bytes: Uint8Array;
}

export interface DnsPeer {
  readonly address: string;
  readonly port: number;
  readonly transport: "udp" | "tcp";
}

/** The content of an answer; everything else of the message follows from the query. */
export interface DnsReply {
  readonly rcode: number;
  /** Whoever asks the same gets the same, until the server is told to `forget`. */
  readonly lasting?: boolean;
  readonly authoritative?: boolean;
  readonly recursionAvailable?: boolean;
  readonly truncated?: boolean;
  readonly answers?: readonly ResourceRecord[];
  readonly authorities?: readonly ResourceRecord[];
  readonly additionals?: readonly ResourceRecord[];
}

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

const none: readonly ResourceRecord[] = [];

const nothing: Omit<Message, "id" | "opcode" | "rcode" | "recursionDesired"> = {
  response: true,
  authoritative: false,
  truncated: false,
  recursionAvailable: false,
  authenticData: false,
  checkingDisabled: false,
  questions: [],
  answers: [],
  authorities: [],
  additionals: [],
};

function bareReply(
  header: { id: number; opcode: number; recursionDesired: boolean },
  rcode: number,
): Uint8Array {
  const { id, opcode, recursionDesired } = header;
  return encodeMessage({ ...nothing, id, opcode, recursionDesired, rcode });
}

/** The response to a query as a value: its id, question and flags, with the content of `reply`. */
function responseTo(query: DnsQuery, reply: DnsReply): Message {
  const { message } = query;
  const response = {
    id: message.id,
    response: true,
    opcode: 0,
    authoritative: reply.authoritative ?? false,
    truncated: reply.truncated ?? false,
    recursionDesired: message.recursionDesired,
    recursionAvailable: reply.recursionAvailable ?? false,
    authenticData: false,
    checkingDisabled: message.checkingDisabled,
    rcode: reply.rcode,
    questions: message.questions,
    answers: reply.answers ?? none,
    authorities: reply.authorities ?? none,
    additionals: reply.additionals ?? none,
  };
  if (message.edns === undefined) return response;
  const edns: Edns = { udpSize: MAX_UDP, version: 0, dnssecOk: message.edns.dnssecOk };
  return { ...response, edns };
}

function finish(query: DnsQuery, peer: DnsPeer, reply: DnsReply | Uint8Array): Uint8Array {
  const limit = sizeLimit(query, peer);
  if (!(reply instanceof Uint8Array)) return encodeMessage(responseTo(query, reply), limit);
  if (reply.length <= limit) return reply;
  const rcode = (reply[3] ?? 0) & 15;
  return encodeMessage(responseTo(query, { rcode, truncated: true, recursionAvailable: true }), limit);
}

/** 512 bytes without EDNS, else what the client takes, up to our own limit (RFC 6891 section 6.2.5). */
function sizeLimit(query: DnsQuery, peer: DnsPeer): number {
  if (peer.transport === "tcp") return 0xffff;
  return Math.min(Math.max(query.message.edns?.udpSize ?? 512, 512), MAX_UDP);
}

/** The response to a query: what it says comes from a handler, everything else from the query. */
import { encodeMessage, type Edns, type Message, type Question, type ResourceRecord } from "#wire/dns";

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

/** The response to what cannot be read as a query. */
export function bareReply(
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

/** The bytes of a response, cut to what its client takes. */
export function finish(query: DnsQuery, peer: DnsPeer, reply: DnsReply | Uint8Array): Uint8Array {
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

/** DNS message -> bytes, with name compression and truncation (RFC 1035 4.1.4, RFC 2181 section 9, RFC 6891). */
import ipaddr from "ipaddr.js";
import { NameOffsets, writeName } from "./dns-name.ts";
import { DnsFormatError, typeNumber, type Message, type Question, type ResourceRecord } from "./dns-types.ts";

const MAX_MESSAGE = 0xffff;
const HEADER = 12;
const OPT_SIZE = 11;

/** Every message is built here first: encoding is synchronous, so one buffer serves all. */
const scratch = Buffer.alloc(MAX_MESSAGE + 1);

/**
 * The message in at most `maxSize` bytes (512 to 65535).
 * Answers or authorities that do not fit are left out and TC is set; additionals that do not fit are just left out.
 * Throws DnsFormatError for names or values that DNS cannot carry.
 */
export function encodeMessage(message: Message, maxSize: number = MAX_MESSAGE): Uint8Array {
  const limit = Math.min(Math.max(maxSize, 512), MAX_MESSAGE) - (message.edns === undefined ? 0 : OPT_SIZE);
  const known = new NameOffsets();
  let at = HEADER;
  for (const question of message.questions) at = writeQuestion(question, at, known);
  const answers = writeSection(message.answers, at, limit, known);
  const authorities = answers.complete
    ? writeSection(message.authorities, answers.at, limit, known)
    : { at: answers.at, count: 0, complete: false };
  const additionals = authorities.complete
    ? writeSection(message.additionals, authorities.at, limit, known)
    : { at: authorities.at, count: 0, complete: false };
  at = message.edns === undefined ? additionals.at : writeOpt(message, additionals.at);
  writeHeader(message, !authorities.complete);
  scratch.writeUInt16BE(message.questions.length, 4);
  scratch.writeUInt16BE(answers.count, 6);
  scratch.writeUInt16BE(authorities.count, 8);
  scratch.writeUInt16BE(additionals.count + (message.edns === undefined ? 0 : 1), 10);
  return Buffer.from(scratch.subarray(0, at));
}

function writeHeader(message: Message, cut: boolean): void {
  const flags =
    (message.response ? 0x8000 : 0) |
    (message.opcode << 11) |
    (message.authoritative ? 0x400 : 0) |
    (message.truncated || cut ? 0x200 : 0) |
    (message.recursionDesired ? 0x100 : 0) |
    (message.recursionAvailable ? 0x80 : 0) |
    (message.authenticData ? 0x20 : 0) |
    (message.checkingDisabled ? 0x10 : 0) |
    (message.rcode & 15);
  scratch.writeUInt16BE(message.id, 0);
  scratch.writeUInt16BE(flags, 2);
}

function writeQuestion(question: Question, offset: number, known: NameOffsets): number {
  let at = writeName(scratch, offset, question.name, known);
  at = scratch.writeUInt16BE(numberOf(question.type), at);
  return scratch.writeUInt16BE(question.class, at);
}

interface Written {
  readonly at: number;
  readonly count: number;
  readonly complete: boolean;
}

function writeSection(
  records: readonly ResourceRecord[],
  offset: number,
  limit: number,
  known: NameOffsets,
): Written {
  let at = offset;
  let count = 0;
  for (const record of records) {
    const end = writeRecord(record, at, known);
    // Names noted while writing a record that is dropped again stand behind `at`; nothing is written after it.
    if (end === undefined || end > limit) return { at, count, complete: false };
    at = end;
    count += 1;
  }
  return { at, count, complete: true };
}

/** The offset after the record; undefined when it does not even fit into the largest message. */
function writeRecord(record: ResourceRecord, offset: number, known: NameOffsets): number | undefined {
  if (offset + largestSize(record) > MAX_MESSAGE) return undefined;
  let at = writeName(scratch, offset, record.name, known);
  at = scratch.writeUInt16BE(numberOf(record.type), at);
  at = scratch.writeUInt16BE(record.class ?? 1, at);
  at = scratch.writeUInt32BE(record.ttl, at);
  const end = writeData(record, at + 2, known);
  scratch.writeUInt16BE(end - at - 2, at);
  return end;
}

/** Bytes a record takes at most: three names of 255, fixed fields, and free data. */
function largestSize(record: ResourceRecord): number {
  if ("data" in record) return 300 + record.data.length;
  if (record.type === "TXT") return 300 + record.texts.length * 256;
  return 800;
}

function writeData(record: ResourceRecord, offset: number, known: NameOffsets): number {
  switch (record.type) {
    case "A":
      return writeIPv4(record.address, offset);
    case "AAAA":
      scratch.set(ipaddr.IPv6.parse(record.address).toByteArray(), offset);
      return offset + 16;
    case "NS":
    case "CNAME":
    case "PTR":
      return writeName(scratch, offset, record.target, known);
    case "MX":
      return writeName(scratch, scratch.writeUInt16BE(record.preference, offset), record.exchange, known);
    case "SRV": {
      let at = scratch.writeUInt16BE(record.priority, offset);
      at = scratch.writeUInt16BE(record.weight, at);
      at = scratch.writeUInt16BE(record.port, at);
      // Never compressed (RFC 2782, "Target").
      return writeName(scratch, at, record.target);
    }
    case "TXT":
      return writeTexts(record.texts, offset);
    case "SOA": {
      let at = writeName(scratch, offset, record.primary, known);
      at = writeName(scratch, at, record.mailbox, known);
      for (const value of [record.serial, record.refresh, record.retry, record.expire, record.minimum]) {
        at = scratch.writeUInt32BE(value, at);
      }
      return at;
    }
    default:
      scratch.set(record.data, offset);
      return offset + record.data.length;
  }
}

/** Without a general parser, because address answers are the hot path. */
function writeIPv4(address: string, offset: number): number {
  let at = offset;
  let value = -1;
  for (let i = 0; i <= address.length; i++) {
    const digit = address.charCodeAt(i) - 0x30;
    if (digit >= 0 && digit <= 9) {
      value = (value < 0 ? 0 : value * 10) + digit;
    } else {
      const ends = i === address.length || address[i] === ".";
      if (!ends || value < 0 || value > 255) throw new DnsFormatError(`not an IPv4 address: ${address}`);
      scratch[at++] = value;
      value = -1;
    }
  }
  if (at !== offset + 4) throw new DnsFormatError(`not an IPv4 address: ${address}`);
  return at;
}

function writeTexts(texts: readonly string[], offset: number): number {
  let at = offset;
  for (const text of texts) {
    if (text.length > 255) throw new DnsFormatError("text longer than 255 bytes");
    scratch[at] = text.length;
    at += 1 + scratch.write(text, at + 1, "latin1");
  }
  return at;
}

function writeOpt(message: Message, offset: number): number {
  const { udpSize, version, dnssecOk } = message.edns ?? { udpSize: 512, version: 0, dnssecOk: false };
  let at = scratch.writeUInt8(0, offset);
  at = scratch.writeUInt16BE(numberOf("OPT"), at);
  at = scratch.writeUInt16BE(udpSize, at);
  at = scratch.writeUInt8(message.rcode >> 4, at);
  at = scratch.writeUInt8(version, at);
  at = scratch.writeUInt16BE(dnssecOk ? 0x8000 : 0, at);
  return scratch.writeUInt16BE(0, at);
}

function numberOf(type: string): number {
  const number = typeNumber(type);
  if (number === undefined) throw new DnsFormatError(`unknown record type ${type}`);
  return number;
}

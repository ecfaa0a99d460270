/** Bytes -> DNS message (RFC 1035 section 4, RFC 2782, RFC 3596, RFC 6891). */
import ipaddr from "ipaddr.js";
import { readName } from "./dns-name.ts";
import {
  DnsFormatError,
  typeName,
  type Edns,
  type Message,
  type Question,
  type RecordData,
  type ResourceRecord,
} from "./dns-types.ts";

const OPT = 41;
const HEADER = 12;

interface Cursor {
  readonly bytes: Buffer;
  at: number;
}

/** Fields that can be read from any message with a whole header, for an answer to one that is otherwise broken. */
export interface Header {
  readonly id: number;
  readonly response: boolean;
  readonly opcode: number;
  readonly recursionDesired: boolean;
}

/** Reads the header alone; undefined when there are fewer than 12 bytes. */
export function decodeHeader(bytes: Uint8Array): Header | undefined {
  if (bytes.length < HEADER) return undefined;
  const [idHigh = 0, idLow = 0, flags = 0] = bytes;
  return {
    id: (idHigh << 8) | idLow,
    response: (flags & 0x80) !== 0,
    opcode: (flags >> 3) & 15,
    recursionDesired: (flags & 1) !== 0,
  };
}

/**
 * Reads a whole message. Work is bounded by the message's length (at most 65,535 bytes): counts in the header
 * allocate nothing, every record takes at least 11 bytes, names are limited and cannot loop.
 * Throws DnsFormatError for bytes that are no message; bytes after the last record are an error, too.
 */
export function decodeMessage(bytes: Uint8Array): Message {
  if (bytes.length < HEADER) throw new DnsFormatError(`message of ${bytes.length} bytes has no header`);
  if (bytes.length > 0xffff) throw new DnsFormatError("message longer than 65535 bytes");
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const cursor: Cursor = { bytes: buffer, at: HEADER };
  const flags = buffer.readUInt16BE(2);
  const questions = readMany(cursor, buffer.readUInt16BE(4), readQuestion);
  const sections = { edns: undefined as Edns | undefined, extendedRcode: 0 };
  const answers = readMany(cursor, buffer.readUInt16BE(6), readRecord);
  const authorities = readMany(cursor, buffer.readUInt16BE(8), readRecord);
  const additionals = readMany(cursor, buffer.readUInt16BE(10), (at) => readAdditional(at, sections));
  if (cursor.at !== buffer.length) throw new DnsFormatError("bytes after the last record");
  return {
    id: buffer.readUInt16BE(0),
    response: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 15,
    authoritative: (flags & 0x400) !== 0,
    truncated: (flags & 0x200) !== 0,
    recursionDesired: (flags & 0x100) !== 0,
    recursionAvailable: (flags & 0x80) !== 0,
    authenticData: (flags & 0x20) !== 0,
    checkingDisabled: (flags & 0x10) !== 0,
    rcode: (sections.extendedRcode << 4) | (flags & 15),
    questions,
    answers,
    authorities,
    additionals,
    ...(sections.edns === undefined ? {} : { edns: sections.edns }),
  };
}

function readMany<T>(cursor: Cursor, count: number, read: (cursor: Cursor) => T | undefined): T[] {
  const items: T[] = [];
  for (let i = 0; i < count; i++) {
    const item = read(cursor);
    if (item !== undefined) items.push(item);
  }
  return items;
}

function readQuestion(cursor: Cursor): Question {
  const name = takeName(cursor);
  return { name, type: typeName(takeUint16(cursor)), class: takeUint16(cursor) };
}

function readRecord(cursor: Cursor): ResourceRecord {
  const name = takeName(cursor);
  return readBody(cursor, name, takeUint16(cursor));
}

/** A record of the additional section; the OPT record goes into `sections` instead (RFC 6891 section 6.1). */
function readAdditional(
  cursor: Cursor,
  sections: { edns: Edns | undefined; extendedRcode: number },
): ResourceRecord | undefined {
  const name = takeName(cursor);
  const type = takeUint16(cursor);
  if (type !== OPT) return readBody(cursor, name, type);
  if (sections.edns !== undefined) throw new DnsFormatError("more than one OPT record");
  if (name !== ".") throw new DnsFormatError("OPT record with a name");
  const udpSize = takeUint16(cursor);
  const extended = takeUint32(cursor);
  const length = takeUint16(cursor);
  cursor.at += length;
  if (cursor.at > cursor.bytes.length) throw new DnsFormatError("OPT record runs past the end");
  sections.edns = { udpSize, version: (extended >>> 16) & 255, dnssecOk: (extended & 0x8000) !== 0 };
  sections.extendedRcode = extended >>> 24;
  return undefined;
}

function readBody(cursor: Cursor, name: string, type: number): ResourceRecord {
  const recordClass = takeUint16(cursor);
  const ttl = takeUint32(cursor);
  const length = takeUint16(cursor);
  const end = cursor.at + length;
  if (end > cursor.bytes.length) throw new DnsFormatError("record data runs past the end");
  const data = readData(cursor, type, end);
  if (cursor.at !== end) throw new DnsFormatError(`data of a ${typeName(type)} record has the wrong length`);
  // A TTL with the highest bit set counts as 0 (RFC 2181 section 8).
  const head = { name, ttl: ttl > 0x7fffffff ? 0 : ttl };
  return recordClass === 1 ? { ...head, ...data } : { ...head, class: recordClass, ...data };
}

function readData(cursor: Cursor, type: number, end: number): RecordData {
  switch (type) {
    case 1:
      return { type: "A", address: takeBytes(cursor, 4).join(".") };
    case 28:
      return { type: "AAAA", address: new ipaddr.IPv6([...takeBytes(cursor, 16)]).toString() };
    case 2:
      return { type: "NS", target: takeName(cursor) };
    case 5:
      return { type: "CNAME", target: takeName(cursor) };
    case 12:
      return { type: "PTR", target: takeName(cursor) };
    case 15:
      return { type: "MX", preference: takeUint16(cursor), exchange: takeName(cursor) };
    case 33:
      return {
        type: "SRV",
        priority: takeUint16(cursor),
        weight: takeUint16(cursor),
        port: takeUint16(cursor),
        target: takeName(cursor),
      };
    case 16:
      return { type: "TXT", texts: takeTexts(cursor, end) };
    case 6:
      return takeSoa(cursor);
    default:
      return { type: `TYPE${type}`, data: Uint8Array.from(takeBytes(cursor, end - cursor.at)) };
  }
}

function takeTexts(cursor: Cursor, end: number): string[] {
  const texts: string[] = [];
  while (cursor.at < end) {
    const length = takeBytes(cursor, 1)[0] ?? 0;
    texts.push(takeBytes(cursor, length).toString("latin1"));
  }
  return texts;
}

function takeSoa(cursor: Cursor): RecordData {
  return {
    type: "SOA",
    primary: takeName(cursor),
    mailbox: takeName(cursor),
    serial: takeUint32(cursor),
    refresh: takeUint32(cursor),
    retry: takeUint32(cursor),
    expire: takeUint32(cursor),
    minimum: takeUint32(cursor),
  };
}

function takeName(cursor: Cursor): string {
  const { name, end } = readName(cursor.bytes, cursor.at);
  cursor.at = end;
  return name;
}

function takeBytes(cursor: Cursor, count: number): Buffer {
  const end = cursor.at + count;
  if (end > cursor.bytes.length) throw new DnsFormatError("message ends too early");
  const taken = cursor.bytes.subarray(cursor.at, end);
  cursor.at = end;
  return taken;
}

function takeUint16(cursor: Cursor): number {
  if (cursor.at + 2 > cursor.bytes.length) throw new DnsFormatError("message ends too early");
  cursor.at += 2;
  return cursor.bytes.readUInt16BE(cursor.at - 2);
}

function takeUint32(cursor: Cursor): number {
  if (cursor.at + 4 > cursor.bytes.length) throw new DnsFormatError("message ends too early");
  cursor.at += 4;
  return cursor.bytes.readUInt32BE(cursor.at - 4);
}

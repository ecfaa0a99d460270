/** Which response belongs to which query, by their bytes (RFC 5452 section 9.1). */
import { decodeHeader } from "./dns-decode.ts";

const HEADER = 12;

/** Offset behind the first question of a query; its name stands in full, since nothing before it could be pointed at. */
export function questionEnd(query: Uint8Array): number {
  let at = HEADER;
  while (at < query.length && query[at] !== 0) at += 1 + (query[at] ?? 0);
  return at + 5;
}

/**
 * Whether `reply` is a response with the id and the question of `query`, whatever the case of its letters. A server that
 * could not read the query may leave the question out, if it says so by its code.
 */
export function isResponseTo(query: Uint8Array, reply: Uint8Array): boolean {
  const header = decodeHeader(reply);
  if (header?.response !== true || header.id !== decodeHeader(query)?.id) return false;
  const questions = ((reply[4] ?? 0) << 8) | (reply[5] ?? 0);
  if (questions === 0) return ((reply[3] ?? 0) & 15) !== 0;
  const end = questionEnd(query);
  return questions === 1 && reply.length >= end && questionText(query, end) === questionText(reply, end);
}

function questionText(bytes: Uint8Array, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + HEADER, end - HEADER)
    .toString("latin1")
    .toLowerCase();
}

/** Whether a response was cut to fit (TC). */
export function isTruncated(reply: Uint8Array): boolean {
  return ((reply[2] ?? 0) & 2) !== 0;
}

/** The same message with another id. */
export function withId(message: Uint8Array, id: number): Uint8Array {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
}

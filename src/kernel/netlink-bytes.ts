/**
 * Messages of rtnetlink(7) as bytes, in the machine's byte order. Pure. Numbers are those of the kernel's
 * uapi headers linux/rtnetlink.h, if_link.h, if_addr.h, neighbour.h.
 */
import { endianness } from "node:os";

const little = endianness() === "LE";

export function u8(...values: readonly number[]): Buffer {
  return Buffer.from(values);
}

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  if (little) bytes.writeUInt16LE(value);
  else bytes.writeUInt16BE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  if (little) bytes.writeUInt32LE(value >>> 0);
  else bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** Two bytes at an offset, as a number. */
export function native16(bytes: Buffer, at: number): number {
  return little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
}

/** Four bytes at an offset, as a number. */
function native32(bytes: Buffer, at: number): number {
  return little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
}

/** A text with its end marked. */
export function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

/** Length and type, then the value, filled up to a multiple of four (struct rtattr). */
export function attribute(type: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const padding = Buffer.alloc((4 - (body.length % 4)) % 4);
  return Buffer.concat([u16(body.length + 4), u16(type), body, padding]);
}

export const requestFlags = {
  request: 0x1,
  ack: 0x4,
  /** All objects of a kind (NLM_F_ROOT and NLM_F_MATCH). */
  dump: 0x300,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
} as const;

/** struct nlmsghdr and what follows it; the answer tells that it was carried out. */
export function message(type: number, flags: number, ...parts: readonly Buffer[]): Buffer {
  return bareMessage(type, requestFlags.ack | flags, ...parts);
}

/** The same, answered only if it fails or asks for it. */
export function bareMessage(type: number, flags: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const all = requestFlags.request | flags;
  return Buffer.concat([u32(16 + body.length), u16(type), u16(all), u32(1), u32(0), body]);
}

/** struct ifinfomsg; `up` sets or clears IFF_UP, undefined leaves it. */
export function linkHeader(up?: boolean): Buffer {
  return Buffer.concat([u8(0, 0), u16(0), u32(0), u32(up === true ? 1 : 0), u32(up === undefined ? 0 : 1)]);
}

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;

/** The bodies of the messages in one piece of a dump, and whether it is the last piece. */
export function dumpPiece(piece: Buffer): { readonly bodies: readonly Buffer[]; readonly last: boolean } {
  const bodies: Buffer[] = [];
  for (let at = 0; at + 16 <= piece.length;) {
    const length = native32(piece, at);
    const type = native16(piece, at + 4);
    if (length < 16 || at + length > piece.length) break;
    if (type === NLMSG_DONE || type === NLMSG_ERROR) return { bodies, last: true };
    bodies.push(piece.subarray(at + 16, at + length));
    at += (length + 3) & ~3;
  }
  return { bodies, last: bodies.length === 0 };
}

/** The errno of an answer: 0 for an acknowledgement; undefined when it is no answer to a request. */
export function errnoOf(answer: Buffer): number | undefined {
  if (answer.length < 20) return undefined;
  const type = native16(answer, 4);
  if (type !== NLMSG_ERROR) return undefined;
  return -(little ? answer.readInt32LE(16) : answer.readInt32BE(16));
}

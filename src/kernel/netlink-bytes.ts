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
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
} as const;

/** struct nlmsghdr and what follows it. */
export function message(type: number, flags: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const all = requestFlags.request | requestFlags.ack | flags;
  return Buffer.concat([u32(16 + body.length), u16(type), u16(all), u32(1), u32(0), body]);
}

/** struct ifinfomsg; `up` sets or clears IFF_UP, undefined leaves it. */
export function linkHeader(up?: boolean): Buffer {
  return Buffer.concat([u8(0, 0), u16(0), u32(0), u32(up === true ? 1 : 0), u32(up === undefined ? 0 : 1)]);
}

const NLMSG_ERROR = 2;

/** The errno of an answer: 0 for an acknowledgement; undefined when it is no answer to a request. */
export function errnoOf(answer: Buffer): number | undefined {
  if (answer.length < 20) return undefined;
  const type = little ? answer.readUInt16LE(4) : answer.readUInt16BE(4);
  if (type !== NLMSG_ERROR) return undefined;
  return -(little ? answer.readInt32LE(16) : answer.readInt32BE(16));
}

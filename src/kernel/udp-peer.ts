/** Peers as struct sockaddr tells them: read and written for every datagram, so without parsing and with few objects. */
import type { DatagramPeer } from "#lib/datagrams";
import { numberToIPv4 } from "#lib/ip";
import ipaddr from "ipaddr.js";

const AF_INET = 2;
const SOCKADDR_IN = 16;
const SOCKADDR_IN6 = 28;

/** Texts of IPv4 addresses that were seen; making them costs more than looking them up. Emptied when full. */
const texts = new Map<number, string>();
const MAX_TEXTS = 4096;

export class BatchPeer implements DatagramPeer {
  readonly address: string;
  readonly port: number;
  /** The address of an IPv4 peer as a number; the whole struct sockaddr_in6 (scope included) of an IPv6 one. */
  readonly host: number | Buffer;

  constructor(address: string, port: number, host: number | Buffer) {
    this.address = address;
    this.port = port;
    this.host = host;
  }
}

/** Reads a struct sockaddr_in or sockaddr_in6. */
export function readPeer(names: Buffer, at: number): BatchPeer {
  const port = names.readUInt16BE(at + 2);
  if (names.readUInt16LE(at) === AF_INET) {
    const host = names.readUInt32BE(at + 4);
    return new BatchPeer(textOf(host), port, host);
  }
  const name = Buffer.from(names.subarray(at, at + SOCKADDR_IN6));
  return new BatchPeer(new ipaddr.IPv6([...name.subarray(8, 24)]).toRFC5952String(), port, name);
}

/** Writes it again; returns its length. */
export function writePeer(names: Buffer, at: number, { host, port }: BatchPeer): number {
  if (typeof host !== "number") {
    names.set(host, at);
    return SOCKADDR_IN6;
  }
  names.writeUInt16LE(AF_INET, at);
  names.writeUInt16BE(port, at + 2);
  names.writeUInt32BE(host, at + 4);
  names.fill(0, at + 8, at + SOCKADDR_IN);
  return SOCKADDR_IN;
}

function textOf(host: number): string {
  const known = texts.get(host);
  if (known !== undefined) return known;
  if (texts.size >= MAX_TEXTS) texts.clear();
  const text = numberToIPv4(host);
  texts.set(host, text);
  return text;
}

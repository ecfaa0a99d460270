/** Neighbour Solicitations and Advertisements of IPv6 (RFC 4861) in Ethernet frames. Pure. */
import ipaddr from "ipaddr.js";
import { ETHERNET_HEADER, etherType, ethernetFrame, etherTypes, macBytes, readMac } from "./ethernet.ts";

export interface NeighbourMessage {
  readonly kind: "solicitation" | "advertisement";
  /** `::` while the sender only looks whether the target is taken (RFC 4862, 5.4). */
  readonly source: string;
  /** The sender's link-layer address: its option for that, else the frame's source. */
  readonly mac: string;
  readonly target: string;
}

export interface Advertisement {
  readonly mac: string;
  readonly target: string;
  /** Whom it answers; absent: it is for everybody. */
  readonly to?: { readonly address: string; readonly mac: string };
}

const IPV6_HEADER = 40;
const ICMPV6 = 58;
/** Only such packets come from the link itself (RFC 4861, 7.1). */
const HOPS = 255;
const types = { solicitation: 135, advertisement: 136 } as const;
const flags = { solicited: 0x40, override: 0x20 } as const;
/** Message up to its options: type, code, checksum, flags, target. */
const FIXED = 24;
const UNSPECIFIED = "::";
const ALL_NODES = "ff02::1";

/**
 * The message of a frame that passes the checks of RFC 4861 (7.1.1, 7.1.2); undefined for anything else. Packets with
 * extension headers before the message are not read: no sender of these messages needs one.
 */
export function decodeNeighbour(frame: Uint8Array): NeighbourMessage | undefined {
  if (etherType(frame) !== etherTypes.ipv6) return undefined;
  const packet = Buffer.from(frame.buffer, frame.byteOffset, frame.length).subarray(ETHERNET_HEADER);
  if (packet.length < IPV6_HEADER + FIXED || packet[6] !== ICMPV6 || packet[7] !== HOPS) return undefined;
  const end = IPV6_HEADER + packet.readUInt16BE(4);
  if (end > packet.length || end < IPV6_HEADER + FIXED) return undefined;
  const message = packet.subarray(IPV6_HEADER, end);
  const [type, code] = message;
  const kind = type === types.solicitation ? "solicitation" : "advertisement";
  if (type !== types[kind] || code !== 0 || checksum(packet.subarray(8, IPV6_HEADER), message) !== 0)
    return undefined;
  const options = readOptions(message.subarray(FIXED), kind);
  const [source, to, target] = [textAt(packet, 8), textAt(packet, 24), textAt(message, 8)];
  if (options === undefined || isMulticast(target)) return undefined;
  if (!isPlausible(kind, source, to, options.mac !== undefined)) return undefined;
  return { kind, source, mac: options.mac ?? readMac(frame, 6), target };
}

/** Who has no address cannot be answered at one; an answer to all is no answer to a question. */
function isPlausible(kind: NeighbourMessage["kind"], source: string, to: string, hasMac: boolean): boolean {
  if (kind === "advertisement") return !isMulticast(source);
  return source !== UNSPECIFIED || (to.startsWith("ff02::1:ff") && !hasMac);
}

/**
 * An advertisement that overrides what neighbours have cached (7.2.4, 7.2.6). One that answers the unspecified address goes to
 * all. Its source is the target: the address that it speaks for.
 */
export function encodeAdvertisement({ mac, target, to }: Advertisement): Buffer {
  const one = to === undefined || to.address === UNSPECIFIED ? undefined : to;
  const message = Buffer.alloc(FIXED + 8);
  message.writeUInt8(types.advertisement, 0);
  message.writeUInt8(one === undefined ? flags.override : flags.override | flags.solicited, 4);
  addressBytes(target).copy(message, 8);
  // Option 2, Target Link-layer Address, of one unit of eight bytes (4.6.1).
  message.set([2, 1, ...macBytes(mac)], FIXED);
  const addresses = Buffer.concat([addressBytes(target), addressBytes(one?.address ?? ALL_NODES)]);
  message.writeUInt16BE(checksum(addresses, message), 2);
  const header = Buffer.of(0x60, 0, 0, 0, 0, message.length, ICMPV6, HOPS);
  const receiver = one?.mac ?? multicastMac(ALL_NODES);
  return ethernetFrame(
    { to: receiver, from: mac, type: etherTypes.ipv6 },
    Buffer.concat([header, addresses, message]),
  );
}

/** The group that solicitations for an address are sent to (RFC 4291, 2.7.1): `ff02::1:ff00:80` for `2001:db8::80`. */
export function solicitedNode(address: string): string {
  const group = addressBytes("ff02::1:ff00:0");
  addressBytes(address).copy(group, 13, 13);
  return textAt(group, 0);
}

/** RFC 2464, 7. */
function multicastMac(group: string): string {
  return readMac(Buffer.concat([Buffer.of(0x33, 0x33), addressBytes(group).subarray(12)]), 0);
}

/** The sender's link-layer address, if it is among the options; undefined for options that cannot be read. */
function readOptions(options: Buffer, kind: NeighbourMessage["kind"]): { readonly mac?: string } | undefined {
  const wanted = kind === "solicitation" ? 1 : 2;
  let found: string | undefined;
  for (let at = 0; at < options.length;) {
    const length = (options[at + 1] ?? 0) * 8;
    if (length === 0 || at + length > options.length) return undefined;
    if (options[at] === wanted && length === 8) found ??= readMac(options, at + 2);
    at += length;
  }
  return found === undefined ? {} : { mac: found };
}

/** The Internet checksum over pseudo-header and message (RFC 8200, 8.1); 0 for a message that bears its own. */
function checksum(addresses: Uint8Array, message: Uint8Array): number {
  const pseudo = Buffer.concat([addresses, Buffer.of(0, 0, 0, 0, 0, 0, 0, ICMPV6), message]);
  pseudo.writeUInt32BE(message.length, addresses.length);
  let sum = 0;
  for (let at = 0; at < pseudo.length; at += 2) sum += ((pseudo[at] ?? 0) << 8) | (pseudo[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function isMulticast(address: string): boolean {
  return /^ff..:/.test(address);
}

function addressBytes(address: string): Buffer {
  return Buffer.from(ipaddr.IPv6.parse(address).toByteArray());
}

function textAt(bytes: Uint8Array, at: number): string {
  return new ipaddr.IPv6([...bytes.subarray(at, at + 16)]).toRFC5952String();
}

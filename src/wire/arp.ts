/** ARP for IPv4 over Ethernet (RFC 826), and what RFC 5227 makes of it. Pure. */
import ipaddr from "ipaddr.js";
import {
  BROADCAST,
  ETHERNET_HEADER,
  etherType,
  ethernetFrame,
  etherTypes,
  macBytes,
  readMac,
} from "./ethernet.ts";

export interface ArpMessage {
  readonly operation: "request" | "reply";
  readonly senderMac: string;
  /** `0.0.0.0` in a probe, which asks whether an address is taken (RFC 5227, 2.1.1). */
  readonly senderAddress: string;
  readonly targetMac: string;
  readonly targetAddress: string;
}

/** Hardware type Ethernet, protocol IPv4, and the lengths of their addresses. */
const KIND = Buffer.of(0, 1, 8, 0, 6, 4);
const LENGTH = 28;
const NOBODY = "00:00:00:00:00:00";

/** The message of a frame; undefined for anything else, and for kinds of hardware and operations that are none of ours. */
export function decodeArp(frame: Uint8Array): ArpMessage | undefined {
  if (etherType(frame) !== etherTypes.arp || frame.length < ETHERNET_HEADER + LENGTH) return undefined;
  const bytes = frame.subarray(ETHERNET_HEADER);
  if (!KIND.equals(bytes.subarray(0, KIND.length)) || bytes[6] !== 0) return undefined;
  const operation = bytes[7] === 1 ? "request" : bytes[7] === 2 ? "reply" : undefined;
  if (operation === undefined) return undefined;
  return {
    operation,
    senderMac: readMac(bytes, 8),
    senderAddress: bytes.subarray(14, 18).join("."),
    targetMac: readMac(bytes, 18),
    targetAddress: bytes.subarray(24, 28).join("."),
  };
}

/** The frame that carries a message from its sender to a station, or to all (`BROADCAST`). */
export function encodeArp(message: ArpMessage, to: string): Buffer {
  const payload = Buffer.concat([
    KIND,
    Buffer.of(0, message.operation === "request" ? 1 : 2),
    macBytes(message.senderMac),
    addressBytes(message.senderAddress),
    macBytes(message.targetMac),
    addressBytes(message.targetAddress),
  ]);
  return ethernetFrame({ to, from: message.senderMac, type: etherTypes.arp }, payload);
}

/**
 * What tells everybody on the link that an address is ours now (gratuitous ARP): the announcement as RFC 5227 (3) wants it, a
 * request, and the same as a reply, for those that learn from replies only.
 */
export function arpAnnouncements(mac: string, address: string): readonly Buffer[] {
  const own = { senderMac: mac, senderAddress: address, targetAddress: address };
  return [
    encodeArp({ ...own, operation: "request", targetMac: NOBODY }, BROADCAST),
    encodeArp({ ...own, operation: "reply", targetMac: BROADCAST }, BROADCAST),
  ];
}

function addressBytes(address: string): Buffer {
  return Buffer.from(ipaddr.IPv4.parse(address).octets);
}

/** Packets of any IP protocol between namespaces, by raw sockets (raw(7)): kernels without SCTP carry SCTP packets, too. */
import ffi from "node:ffi";
import { closeSync, readSync } from "node:fs";
import ipaddr from "ipaddr.js";
import { inNetNs } from "#kernel";
import type { NetNs } from "#kernel";
import { codeOf } from "#lib/errors";

const { functions: libc } = ffi.dlopen("libc.so.6", {
  socket: { arguments: ["i32", "i32", "i32"], return: "i32" },
  sendto: { arguments: ["i32", "buffer", "u64", "i32", "buffer", "u32"], return: "i64" },
});
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_RAW_NONBLOCK = 3 | 0o4000;
export const protocols = { icmp: 1, "ipv6-icmp": 58, sctp: 132 } as const;

type Protocol = keyof typeof protocols;

function open(ns: NetNs, address: string, protocol: Protocol): number {
  const family = address.includes(":") ? AF_INET6 : AF_INET;
  const fd = inNetNs(ns, () => libc.socket(family, SOCK_RAW_NONBLOCK, protocols[protocol]));
  if (fd < 0) throw new Error(`no raw socket for ${protocol} in ${ns.name}`);
  return fd;
}

/** struct sockaddr_in or sockaddr_in6 without a port; the family in the machine's order. */
function socketAddress(address: string): Buffer {
  const ipv6 = address.includes(":");
  const bytes = Buffer.alloc(ipv6 ? 28 : 16);
  new Uint16Array(bytes.buffer, bytes.byteOffset, 1)[0] = ipv6 ? AF_INET6 : AF_INET;
  bytes.set(ipaddr.parse(address).toByteArray(), ipv6 ? 8 : 4);
  return bytes;
}

/** Sends one packet with this payload behind the IP header. */
export function sendRaw(ns: NetNs, address: string, protocol: Protocol, payload: Buffer): void {
  const fd = open(ns, address, protocol);
  try {
    const to = socketAddress(address);
    const sent = libc.sendto(fd, payload, BigInt(payload.length), 0, to, to.length);
    if (Number(sent) !== payload.length) throw new Error(`packet to ${address} not sent`);
  } finally {
    closeSync(fd);
  }
}

export interface RawListener {
  /** Whether a packet that ends in these bytes has come since the last question. */
  got(payload: Buffer): boolean;
  close(): void;
}

/** Receives all packets of a protocol that come to an address of the namespace. */
export function listenRaw(ns: NetNs, address: string, protocol: Protocol): RawListener {
  const fd = open(ns, address, protocol);
  const buffer = Buffer.alloc(65_536);
  const next = (): Buffer | undefined => {
    try {
      return buffer.subarray(0, readSync(fd, buffer));
    } catch (error) {
      if (codeOf(error) === "EAGAIN") return undefined;
      throw error;
    }
  };
  return {
    got(payload) {
      let found = false;
      for (let packet = next(); packet !== undefined; packet = next()) {
        found ||= packet.subarray(-payload.length).equals(payload);
      }
      return found;
    },
    close: () => closeSync(fd),
  };
}

/** An SCTP packet with an INIT chunk (RFC 9260 sections 3.1 and 3.3.2); its checksum is left zero. */
export function sctpInit(sourcePort: number, destinationPort: number): Buffer {
  const packet = Buffer.alloc(32);
  packet.writeUInt16BE(sourcePort, 0);
  packet.writeUInt16BE(destinationPort, 2);
  packet.writeUInt8(1, 12);
  packet.writeUInt16BE(20, 14);
  packet.writeUInt32BE(1, 16);
  packet.writeUInt32BE(65_536, 20);
  packet.writeUInt16BE(1, 24);
  packet.writeUInt16BE(1, 26);
  packet.writeUInt32BE(1, 28);
  return packet;
}

/** An ICMP echo request (RFC 792) with an identifier; the kernel computes the checksum of ICMPv6 (RFC 3542 section 3.1). */
export function echoRequest(protocol: "icmp" | "ipv6-icmp", identifier: number): Buffer {
  const packet = Buffer.alloc(8);
  packet.writeUInt8(protocol === "icmp" ? 8 : 128, 0);
  packet.writeUInt16BE(identifier, 4);
  if (protocol === "icmp") packet.writeUInt16BE(~((8 << 8) + identifier) & 0xffff, 2);
  return packet;
}

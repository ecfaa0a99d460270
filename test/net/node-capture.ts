/**
 * An independent look at the wire: a packet socket (packet(7)) on a device of a namespace. tcpdump would do, but it
 * cannot give up root inside an unprivileged user namespace and then refuses to run.
 */
import ffi from "node:ffi";
import { closeSync, readSync } from "node:fs";
import { codeOf } from "#lib/errors";
import { inNetNs } from "#kernel";
import type { NetNs } from "#kernel";

const { functions: libc } = ffi.dlopen("libc.so.6", {
  socket: { arguments: ["i32", "i32", "i32"], return: "i32" },
});
const AF_PACKET = 17;
const SOCK_RAW_NONBLOCK = 3 | 0o4000;
/** ETH_P_ALL in network byte order. */
const EVERY_PROTOCOL = 0x0300;

export interface UdpPacket {
  readonly source: string;
  readonly destination: string;
  readonly destinationPort: number;
  readonly payload: Buffer;
}

export interface Capture {
  /** All UDP packets over IPv4 that crossed the namespace's devices since the last call. */
  udp(): UdpPacket[];
  close(): void;
}

/** Begins to capture on all devices of a namespace; up to the socket's buffer (about 200 kB) is kept. */
export function startCapture(ns: NetNs): Capture {
  const fd = inNetNs(ns, () => libc.socket(AF_PACKET, SOCK_RAW_NONBLOCK, EVERY_PROTOCOL));
  if (fd < 0) throw new Error("no packet socket");
  const buffer = Buffer.alloc(65_536);
  return {
    udp() {
      const packets: UdpPacket[] = [];
      for (let length = read(fd, buffer); length > 0; length = read(fd, buffer)) {
        const packet = parseUdp(Buffer.from(buffer.subarray(0, length)));
        if (packet !== undefined) packets.push(packet);
      }
      return packets;
    },
    close: () => closeSync(fd),
  };
}

function read(fd: number, buffer: Buffer): number {
  try {
    return readSync(fd, buffer);
  } catch (error) {
    if (codeOf(error) === "EAGAIN") return 0;
    throw error;
  }
}

/** Ethernet (14 bytes), IPv4, UDP. */
function parseUdp(frame: Buffer): UdpPacket | undefined {
  if (frame.length < 42 || frame.readUInt16BE(12) !== 0x0800 || frame[23] !== 17) return undefined;
  const udp = 14 + ((frame[14] ?? 0) & 15) * 4;
  return {
    source: frame.subarray(26, 30).join("."),
    destination: frame.subarray(30, 34).join("."),
    destinationPort: frame.readUInt16BE(udp + 2),
    payload: frame.subarray(udp + 8),
  };
}

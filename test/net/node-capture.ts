/**
 * An independent look at the wire: a packet socket (packet(7)) on a device of a namespace. tcpdump would do, but it
 * cannot give up root inside an unprivileged user namespace and then refuses to run.
 */
import ffi from "node:ffi";
import { closeSync, readSync } from "node:fs";
import { codeOf } from "#lib/errors";
import { canonicalAddress } from "#lib/ip";
import { inNetNs } from "#kernel";
import type { NetNs } from "#kernel";

const { functions: libc } = ffi.dlopen("libc.so.6", {
  socket: { arguments: ["i32", "i32", "i32"], return: "i32" },
  bind: { arguments: ["i32", "buffer", "u32"], return: "i32" },
  if_nametoindex: { arguments: ["string"], return: "u32" },
});
const AF_PACKET = 17;
const SOCK_RAW_NONBLOCK = 3 | 0o4000;
/** ETH_P_ALL in network byte order. */
const EVERY_PROTOCOL = 0x0300;

export interface Frame {
  /** `10.244.0.2 > 10.244.1.2 tcp`, `172.30.0.11 > 172.30.0.12 udp 8472`. */
  readonly text: string;
  /** What follows the addresses. */
  readonly payload: Buffer;
}

export interface Capture {
  /** All IPv4 and IPv6 packets that crossed the device since the last call. */
  frames(): Frame[];
  close(): void;
}

/** Begins to capture on a device of a namespace; up to the socket's buffer (about 200 kB) is kept. */
export function startCapture(ns: NetNs, device: string): Capture {
  const fd = inNetNs(ns, () => {
    const made = libc.socket(AF_PACKET, SOCK_RAW_NONBLOCK, EVERY_PROTOCOL);
    const address = linkAddress(libc.if_nametoindex(device));
    if (made < 0 || libc.bind(made, address, address.length) !== 0) throw new Error("no packet socket");
    return made;
  });
  const buffer = Buffer.alloc(65_536);
  return {
    frames() {
      const frames: Frame[] = [];
      for (let length = read(fd, buffer); length > 0; length = read(fd, buffer)) {
        const frame = parseFrame(Buffer.from(buffer.subarray(0, length)));
        if (frame !== undefined) frames.push(frame);
      }
      return frames;
    },
    close: () => closeSync(fd),
  };
}

/** struct sockaddr_ll: family, protocol, device. */
function linkAddress(index: number): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt16LE(AF_PACKET, 0);
  bytes.writeUInt16LE(EVERY_PROTOCOL, 2);
  bytes.writeInt32LE(index, 4);
  return bytes;
}

function read(fd: number, buffer: Buffer): number {
  try {
    return readSync(fd, buffer);
  } catch (error) {
    if (codeOf(error) === "EAGAIN") return 0;
    throw error;
  }
}

/** Ethernet (14 bytes), then IPv4 or IPv6. */
function parseFrame(frame: Buffer): Frame | undefined {
  const kind = frame.length < 34 ? 0 : frame.readUInt16BE(12);
  if (kind === 0x0800) {
    const payload = frame.subarray(14 + ((frame[14] ?? 0) & 15) * 4);
    return frameOf(frame.subarray(26, 30), frame.subarray(30, 34), frame[23] ?? 0, payload);
  }
  if (kind !== 0x86dd || frame.length < 54) return undefined;
  return frameOf(frame.subarray(22, 38), frame.subarray(38, 54), frame[20] ?? 0, frame.subarray(54));
}

function frameOf(source: Buffer, destination: Buffer, protocol: number, payload: Buffer): Frame {
  const [from, to] = [source, destination].map((bytes) => addressText(bytes));
  const names: Readonly<Record<number, string>> = { 6: "tcp", 17: "udp" };
  const port = protocol === 17 ? ` ${payload.readUInt16BE(2)}` : "";
  return { text: `${from} > ${to} ${names[protocol] ?? protocol}${port}`, payload };
}

function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join(".");
  return canonicalAddress(bytes.toString("hex").match(/..../g)?.join(":") ?? "") ?? "";
}

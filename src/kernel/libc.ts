/**
 * The few C library functions that Node does not offer, called through node:ffi (experimental in Node 26, so it
 * stays in this file). All of them are synchronous and act on the calling thread.
 */
import ffi from "node:ffi";
import { endianness } from "node:os";
import { getSystemErrorMap, getSystemErrorMessage } from "node:util";
import { InroadError } from "#lib/errors";
import { isIPv4, isIPv6 } from "#lib/ip";
import ipaddr from "ipaddr.js";
import { dumpPiece, errnoOf } from "./netlink-bytes.ts";

const { functions: libc } = ffi.dlopen("libc.so.6", {
  setns: { arguments: ["i32", "i32"], return: "i32" },
  unshare: { arguments: ["i32"], return: "i32" },
  socket: { arguments: ["i32", "i32", "i32"], return: "i32" },
  setsockopt: { arguments: ["i32", "i32", "i32", "buffer", "u32"], return: "i32" },
  bind: { arguments: ["i32", "buffer", "u32"], return: "i32" },
  listen: { arguments: ["i32", "i32"], return: "i32" },
  close: { arguments: ["i32"], return: "i32" },
  send: { arguments: ["i32", "buffer", "u64", "i32"], return: "i64" },
  sendto: { arguments: ["i32", "buffer", "u64", "i32", "buffer", "u32"], return: "i64" },
  recv: { arguments: ["i32", "buffer", "u64", "i32"], return: "i64" },
  recvmmsg: { arguments: ["i32", "buffer", "u32", "i32", "pointer"], return: "i32" },
  sendmmsg: { arguments: ["i32", "buffer", "u32", "i32"], return: "i32" },
  getsockname: { arguments: ["i32", "buffer", "buffer"], return: "i32" },
  if_nametoindex: { arguments: ["string"], return: "u32" },
  waitpid: { arguments: ["i32", "buffer", "i32"], return: "i32" },
  __errno_location: { arguments: [], return: "pointer" },
});

/** errno lives at one address per thread; every thread has its own instance of this module. */
const errnoAddress = libc.__errno_location();

const CLONE_NEWNET = 0x40000000;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const AF_PACKET = 17;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const IPPROTO_ICMP = 1;
const IPPROTO_IPV6 = 41;
const IPPROTO_IP = 0;
const IP_MTU_DISCOVER = 10;
const IP_PMTUDISC_PROBE = 3;
const IPV6_V6ONLY = 26;
const IP_BIND_ADDRESS_NO_PORT = 24;
const WNOHANG = 1;

/** Throws an error with the errno's name as its code when a call returned -1. */
function check(result: number, what: string): number {
  if (result !== -1) return result;
  const errno = ffi.getInt32(errnoAddress, 0);
  const code = getSystemErrorMap().get(-errno)?.[0] ?? `errno ${errno}`;
  throw new InroadError(code, `${what}: ${getSystemErrorMessage(-errno)}`);
}

/** setns(2): moves the calling thread into the network namespace that `fd` refers to. */
export function setNetNs(fd: number, name: string): void {
  check(libc.setns(fd, CLONE_NEWNET), `cannot enter network namespace ${name}`);
}

/** unshare(2) CLONE_NEWNET: moves the calling thread into a new, empty network namespace. */
export function unshareNetNs(name: string): void {
  check(libc.unshare(CLONE_NEWNET), `cannot create network namespace ${name}`);
}

/**
 * A socket in the thread's current namespace, non-blocking, closed on exec, with SO_REUSEADDR, bound to an IP
 * literal and port (0 lets the kernel choose) unless `bind` is left out; `backlog` makes it listen. With `connects` a
 * port of 0 is chosen when it connects, so that one port may serve connections to several ends (ip(7)). An IPv6 socket takes
 * connections of IPv4 with `bothFamilies` only.
 */
export function openSocket(
  type: "tcp" | "udp",
  family: 4 | 6,
  options: {
    readonly bind?: { readonly address: string; readonly port: number };
    readonly backlog?: number;
    readonly connects?: boolean;
    readonly bothFamilies?: boolean;
  },
): number {
  const kind = (type === "tcp" ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const fd = check(libc.socket(family === 4 ? AF_INET : AF_INET6, kind, 0), "socket");
  try {
    setFlag(fd, SOL_SOCKET, SO_REUSEADDR);
    if (family === 6) setFlag(fd, IPPROTO_IPV6, IPV6_V6ONLY, options.bothFamilies === true ? 0 : 1);
    if (options.bind !== undefined) {
      const { address, port } = options.bind;
      if (options.connects === true && port === 0 && family === 4)
        setFlag(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
      const name = socketAddress(address, port);
      check(libc.bind(fd, name, name.length), `bind ${address} port ${port}`);
    }
    if (options.backlog !== undefined) check(libc.listen(fd, options.backlog), "listen");
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/**
 * An ICMP echo socket (icmp(7)) for IPv4: sends echo requests, which are never fragmented, whatever is known of the path, and
 * receives their replies. The kernel fills in checksum and identifier.
 */
export function openPingSocket(): number {
  const kind = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const fd = check(libc.socket(AF_INET, kind, IPPROTO_ICMP), "ping socket");
  try {
    setFlag(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/**
 * sendto(2) to an IP literal without waiting; false when the kernel refused the datagram (too large, no room, dropped on the
 * spot). Node's own sockets try again without end where a device drops what it is given.
 */
export function sendDatagram(fd: number, message: Buffer, address: string): boolean {
  const name = socketAddress(address, 0);
  return libc.sendto(fd, message, BigInt(message.length), 0, name, name.length) !== -1n;
}

function setFlag(fd: number, level: number, option: number, value = 1): void {
  const one = Buffer.alloc(4);
  writeNative(one, value, 4);
  setOption(fd, level, option, one);
}

/** setsockopt(2). What the value points to must stay referenced for the time of the call. */
export function setOption(fd: number, level: number, option: number, value: Buffer): void {
  check(libc.setsockopt(fd, level, option, value, value.length), "setsockopt");
}

/** A raw packet socket (packet(7)), non-blocking, closed on exec, that receives nothing before it is bound. */
export function openPacketSocket(): number {
  return check(libc.socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "packet socket");
}

/** bind(2) to a struct sockaddr of any family, which is then read back: the kernel has filled in what it knows. */
export function bindTo(fd: number, name: Buffer): void {
  const length = Buffer.alloc(4);
  writeNative(length, name.length, 4);
  check(libc.bind(fd, name, name.length), "bind");
  check(libc.getsockname(fd, name, length), "getsockname");
}

/** recv(2) without waiting: the length of what came, 0 when there is nothing or all that came was an error. */
export function receiveOne(fd: number, buffer: Buffer): number {
  return Math.max(0, Number(libc.recv(fd, buffer, BigInt(buffer.length), 0)));
}

/** send(2) without waiting; false when the kernel refused it. */
export function sendOne(fd: number, bytes: Buffer): boolean {
  return Number(libc.send(fd, bytes, BigInt(bytes.length), 0)) === bytes.length;
}

/** `4` or `6`; throws `BadAddress` for anything but an IP literal (names are never resolved here). */
export function familyOf(address: string): 4 | 6 {
  if (isIPv4(address)) return 4;
  if (isIPv6(address)) return 6;
  throw new InroadError("BadAddress", `not an IP address: ${address}`);
}

/** struct sockaddr_in (16 bytes) or sockaddr_in6 (28 bytes). */
export function socketAddress(address: string, port: number): Buffer {
  const family = familyOf(address);
  const bytes = Buffer.alloc(family === 4 ? 16 : 28);
  writeNative(bytes, family === 4 ? AF_INET : AF_INET6, 2);
  bytes.writeUInt16BE(port, 2);
  bytes.set(ipaddr.parse(address).toByteArray(), family === 4 ? 4 : 8);
  return bytes;
}

function writeNative(bytes: Buffer, value: number, length: number): void {
  if (endianness() === "LE") bytes.writeUIntLE(value, 0, length);
  else bytes.writeUIntBE(value, 0, length);
}

/** Reaps one ended child without waiting; true when there was one of that pid. */
export function reapChild(pid: number): boolean {
  return libc.waitpid(pid, Buffer.alloc(4), WNOHANG) === pid;
}

/**
 * Opens an rtnetlink socket in the thread's current namespace for the time of `use`. The kernel answers a request
 * before send(2) returns, so nothing ever waits.
 */
export function withNetlink<T>(use: (ask: (request: Buffer) => Buffer) => T): T {
  const fd = netlinkSocket(0);
  const answer = Buffer.alloc(8192);
  try {
    return use((request) => {
      check(Number(libc.send(fd, request, BigInt(request.length), 0)), "netlink send");
      const length = check(Number(libc.recv(fd, answer, BigInt(answer.length), 0)), "netlink receive");
      return answer.subarray(0, length);
    });
  } finally {
    libc.close(fd);
  }
}

function netlinkSocket(protocol: number): number {
  const kind = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
  return check(libc.socket(AF_NETLINK, kind, protocol), "netlink socket");
}

/** Asks for all objects of a kind and returns the bodies of the answers. The kernel fills each piece as it is read. */
export function dumpNetlink(protocol: number, request: Buffer): readonly Buffer[] {
  const fd = netlinkSocket(protocol);
  const bodies: Buffer[] = [];
  try {
    check(Number(libc.send(fd, request, BigInt(request.length), 0)), "netlink send");
    for (let last = false; !last;) {
      const piece = Buffer.alloc(32_768);
      const length = check(Number(libc.recv(fd, piece, BigInt(piece.length), 0)), "netlink receive");
      const read = dumpPiece(piece.subarray(0, length));
      bodies.push(...read.bodies);
      last = read.last;
    }
    return bodies;
  } finally {
    libc.close(fd);
  }
}

/**
 * Sends a batch, which the kernel carries out as a whole before send(2) returns. False when it was refused or is too large
 * for the socket; then nothing has changed.
 */
export function sendNetlinkBatch(protocol: number, batch: Buffer): boolean {
  const fd = netlinkSocket(protocol);
  const answer = Buffer.alloc(8192);
  try {
    if (Number(libc.send(fd, batch, BigInt(batch.length), 0)) !== batch.length) return false;
    for (;;) {
      const length = Number(libc.recv(fd, answer, BigInt(answer.length), 0));
      if (length <= 0) return true;
      if (errnoOf(answer.subarray(0, length)) !== 0) return false;
    }
  } finally {
    libc.close(fd);
  }
}

/** Index of a network device of the current namespace; 0 if there is none of that name. */
export function deviceIndex(name: string): number {
  return libc.if_nametoindex(name);
}

/** Nothing to read, or no room to write: errno of Linux. */
const EAGAIN = 11;
const EINTR = 4;
const MSG_DONTWAIT = 0x40;

/**
 * recvmmsg(2): fills the first of `count` struct mmsghdr, which and whose memory the caller keeps referenced. Returns how many;
 * 0 when there is nothing, or when all that came was an error that an earlier datagram met.
 */
export function receiveMany(fd: number, headers: Buffer, count: number): number {
  const result = libc.recvmmsg(fd, headers, count, MSG_DONTWAIT, 0n);
  return Math.max(result, 0);
}

/** sendmmsg(2): returns how many were sent; 0 when the first cannot be, `full` when there is no room now. */
export function sendMany(fd: number, headers: Buffer, count: number): number | "full" {
  const result = libc.sendmmsg(fd, headers, count, MSG_DONTWAIT);
  if (result > 0) return result;
  const errno = ffi.getInt32(errnoAddress, 0);
  return errno === EAGAIN || errno === EINTR ? "full" : 0;
}

/** The port that a bound socket has. */
export function socketPort(fd: number): number {
  const name = Buffer.alloc(28);
  const length = Buffer.alloc(4);
  writeNative(length, name.length, 4);
  check(libc.getsockname(fd, name, length), "getsockname");
  return name.readUInt16BE(2);
}

/** close(2). Node's own closeSync warns of descriptors that it has not opened. */
export function closeDescriptor(fd: number): void {
  libc.close(fd);
}

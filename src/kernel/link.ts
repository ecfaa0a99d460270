/**
 * Frames of a device (packet(7); 64 bits, little-endian): ARP, and of IPv6 only what neighbours ask and tell each other. A filter in the
 * kernel keeps all other traffic of the device away from this process.
 */
import ffi from "node:ffi";
import { networkInterfaces } from "node:os";
import { InroadError, codeOf, messageOf } from "#lib/errors";
import ipaddr from "ipaddr.js";
import {
  bindTo,
  closeDescriptor,
  deviceIndex,
  openPacketSocket,
  openSocket,
  receiveOne,
  sendOne,
  setOption,
} from "./libc.ts";
import { watchReadable } from "./libuv.ts";

export interface Link {
  /** The device's own address, `02:...`. */
  readonly mac: string;
  /** Whether the device has a carrier and an address now. */
  isUp(): boolean;
  /** Sends a frame with its Ethernet header; false when the kernel did not take it. */
  send(frame: Uint8Array): boolean;
  /** Receives what is sent to exactly these IPv6 multicast groups; switches are told (MLD). Throws for what the kernel refuses. */
  join(groups: ReadonlySet<string>): void;
  close(): Promise<void>;
}

const AF_PACKET = 17;
const ETH_P_ARP = 0x0806;
const ETH_P_IPV6 = 0x86dd;
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const IPPROTO_IPV6 = 41;
const IPV6_JOIN_GROUP = 20;
const IPV6_LEAVE_GROUP = 21;
/** Longest frame that is read; messages of neighbours are much shorter. */
const MAX_FRAME = 1514;
/** Frames in one turn of the loop: whoever sends faster must not keep everything else from running. */
const MAX_ROUND = 256;

/** Classic BPF as struct sock_filter: code, jump if true, jump if false, operand. */
const neighboursOnly: readonly (readonly [number, number, number, number])[] = [
  [0x30, 0, 0, 20], // load the next header of IPv6
  [0x15, 0, 4, 58], // ICMPv6, else to the end
  [0x30, 0, 0, 54], // load its type
  [0x15, 1, 0, 135], // Neighbour Solicitation
  [0x15, 0, 1, 136], // Neighbour Advertisement, else to the end
  [0x06, 0, 0, MAX_FRAME],
  [0x06, 0, 0, 0],
];

/**
 * Opens a device of this thread's namespace; `onFrame` gets each ARP and neighbour message that arrives, a copy. For the main
 * thread (see `watchReadable`); needs CAP_NET_RAW.
 * @throws InroadError `NoSuchDevice`, or with the errno's name (`EPERM`).
 */
export function openLink(device: string, onFrame: (frame: Buffer) => void): Link {
  const index = deviceIndex(device);
  if (index === 0) throw new InroadError("NoSuchDevice", `there is no network device ${device}`);
  const arp = openPackets(device, index, ETH_P_ARP);
  const ipv6 = openPackets(device, index, ETH_P_IPV6);
  const unwatch = [arp.fd, ipv6.fd].map((fd) => watch(fd, onFrame));
  const groups = createGroups(index);
  return {
    mac: arp.mac,
    // Node leaves out devices that are down, without carrier, or without an address.
    isUp: () => networkInterfaces()[device] !== undefined,
    send: (frame) => sendOne(arp.fd, Buffer.from(frame)),
    join: groups.set,
    async close() {
      groups.close();
      await Promise.all(unwatch.map((end) => end()));
      for (const { fd } of [arp, ipv6]) closeDescriptor(fd);
    },
  };
}

function openPackets(device: string, index: number, type: number): { fd: number; mac: string } {
  try {
    const fd = openPacketSocket();
    if (type === ETH_P_IPV6) attachFilter(fd);
    const name = linkAddress(index, type);
    bindTo(fd, name);
    return { fd, mac: name.toString("hex", 12, 18).replace(/..(?!$)/g, "$&:") };
  } catch (error) {
    throw new InroadError(codeOf(error) ?? "LinkFailed", `cannot open ${device}: ${messageOf(error)}`, {
      mend: "run it as root, or with the capability NET_RAW",
      cause: error,
    });
  }
}

/** struct sockaddr_ll: family, protocol, device; the rest is the kernel's answer, the address from byte 12. */
function linkAddress(index: number, type: number): Buffer {
  const name = Buffer.alloc(20);
  name.writeUInt16LE(AF_PACKET, 0);
  name.writeUInt16BE(type, 2);
  name.writeInt32LE(index, 4);
  return name;
}

function attachFilter(fd: number): void {
  const program = Buffer.alloc(neighboursOnly.length * 8);
  for (const [i, [code, ifTrue, ifFalse, operand]] of neighboursOnly.entries()) {
    program.writeUInt16LE(code, i * 8);
    program.set([ifTrue, ifFalse], i * 8 + 2);
    program.writeUInt32LE(operand, i * 8 + 4);
  }
  // struct sock_fprog; the kernel copies the program before the call returns.
  const fprog = Buffer.alloc(16);
  fprog.writeUInt16LE(neighboursOnly.length, 0);
  fprog.writeBigUInt64LE(ffi.getRawPointer(program), 8);
  setOption(fd, SOL_SOCKET, SO_ATTACH_FILTER, fprog);
}

function watch(fd: number, onFrame: (frame: Buffer) => void): () => Promise<void> {
  const buffer = Buffer.alloc(MAX_FRAME);
  const state = { open: true, scheduled: false };
  const drain = (): void => {
    state.scheduled = false;
    for (let i = 0; state.open && i < MAX_ROUND; i++) {
      const length = receiveOne(fd, buffer);
      if (length === 0) return;
      onFrame(Buffer.from(buffer.subarray(0, length)));
    }
  };
  const unwatch = watchReadable(fd, () => {
    if (state.scheduled) return;
    state.scheduled = true;
    setImmediate(drain);
  });
  return () => {
    state.open = false;
    return unwatch();
  };
}

/** Memberships of multicast groups, held by a socket of their own, which comes with the first one. */
function createGroups(index: number) {
  let fd: number | undefined;
  let joined: ReadonlySet<string> = new Set();
  const change = (option: number, group: string): void => {
    fd ??= openSocket("udp", 6, {});
    // struct ipv6_mreq: the group, the device.
    const request = Buffer.alloc(20);
    request.set(ipaddr.parse(group).toByteArray());
    request.writeInt32LE(index, 16);
    setOption(fd, IPPROTO_IPV6, option, request);
  };
  return {
    set(groups: ReadonlySet<string>): void {
      const before = joined;
      joined = new Set([...before].filter((group) => groups.has(group)));
      for (const group of before) if (!groups.has(group)) change(IPV6_LEAVE_GROUP, group);
      for (const group of groups) {
        if (before.has(group)) continue;
        change(IPV6_JOIN_GROUP, group);
        joined = new Set([...joined, group]);
      }
    },
    close(): void {
      if (fd !== undefined) closeDescriptor(fd);
    },
  };
}

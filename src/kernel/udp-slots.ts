/** The memory of batched system calls on UDP sockets: 64 struct mmsghdr, each with its own name, vector and bytes. */
import ffi from "node:ffi";
import type { DatagramPeer } from "#lib/datagrams";
import { socketAddress } from "./libc.ts";
import { BatchPeer, readPeer, writePeer } from "./udp-peer.ts";

/** Datagrams per system call. */
export const BATCH = 64;
/** The largest datagram there is fits, so none is ever cut; pages that are never touched cost nothing. */
export const SLOT = 65_536;
/** struct sockaddr_in6; sockaddr_in is shorter. */
const NAME = 28;
/** Sizes and offsets of struct mmsghdr and struct iovec on 64-bit Linux. */
const HEADER = 64;
const IOVEC = 16;
const AT = { name: 0, nameLength: 8, vector: 16, vectorCount: 24, length: 56 } as const;

/**
 * The kernel writes through pointers that stand in `headers`: names, vectors and bytes must live as long as calls are made,
 * so all of them are fields of one object.
 */
export class Slots {
  readonly headers = Buffer.alloc(BATCH * HEADER);
  readonly #names = Buffer.alloc(BATCH * NAME);
  readonly #vectors = Buffer.alloc(BATCH * IOVEC);
  readonly #bytes = Buffer.alloc(BATCH * SLOT);

  constructor() {
    const names = ffi.getRawPointer(this.#names);
    const vectors = ffi.getRawPointer(this.#vectors);
    const bytes = ffi.getRawPointer(this.#bytes);
    for (let i = 0; i < BATCH; i++) {
      const at = i * HEADER;
      this.headers.writeBigUInt64LE(names + BigInt(i * NAME), at + AT.name);
      this.headers.writeUInt32LE(NAME, at + AT.nameLength);
      this.headers.writeBigUInt64LE(vectors + BigInt(i * IOVEC), at + AT.vector);
      this.headers.writeBigUInt64LE(1n, at + AT.vectorCount);
      this.#vectors.writeBigUInt64LE(bytes + BigInt(i * SLOT), i * IOVEC);
      this.#vectors.writeBigUInt64LE(BigInt(SLOT), i * IOVEC + 8);
    }
  }

  /** A copy of the datagram that was received into a slot. */
  bytes(i: number): Buffer {
    const length = this.headers.readUInt32LE(i * HEADER + AT.length);
    const copy = Buffer.allocUnsafe(length);
    this.#bytes.copy(copy, 0, i * SLOT, i * SLOT + length);
    return copy;
  }

  /** The sender of the datagram that was received into a slot. All names of one socket have the same length. */
  sender(i: number): BatchPeer {
    return readPeer(this.#names, i * NAME);
  }

  /** Puts a datagram and its receiver into a slot, to be sent. At most 65,536 bytes. */
  put(i: number, bytes: Uint8Array, to: DatagramPeer): void {
    this.#bytes.set(bytes, i * SLOT);
    this.#vectors.writeUInt32LE(bytes.length, i * IOVEC + 8);
    const length = to instanceof BatchPeer ? writePeer(this.#names, i * NAME, to) : this.#putName(i, to);
    this.headers.writeUInt32LE(length, i * HEADER + AT.nameLength);
  }

  #putName(i: number, { address, port }: DatagramPeer): number {
    const name = socketAddress(address, port);
    this.#names.set(name, i * NAME);
    return name.length;
  }

  /** The headers from a slot on. */
  from(i: number): Buffer {
    return this.headers.subarray(i * HEADER);
  }
}

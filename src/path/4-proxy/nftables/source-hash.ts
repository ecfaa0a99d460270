/** Which slot the kernel's `jhash ip saddr mod N seed 0x0` gives a source address (linux/jhash.h, net/netfilter/nft_hash.c). */
import ipaddr from "ipaddr.js";

const INITIAL = 0xdeadbeef;

/** 0 to modulus - 1. */
export function sourceHash(address: string, modulus: number): number {
  const value = jhash(Uint8Array.from(ipaddr.parse(address).toByteArray()));
  // The kernel's reciprocal_scale.
  return Number((BigInt(value) * BigInt(modulus)) >> 32n);
}

/** Of 4 or 16 bytes, with seed 0. */
function jhash(bytes: Uint8Array): number {
  const words = new DataView(bytes.buffer);
  const start = (INITIAL + bytes.length) >>> 0;
  const sum: Words = [start, start, start];
  let at = 0;
  for (; bytes.length - at > 12; at += 12) {
    sum.forEach((word, i) => (sum[i] = word + words.getUint32(at + 4 * i, true)));
    for (const [to, from, by] of MIX) mix(sum, to, from, by);
  }
  sum[0] += words.getUint32(at, true);
  for (const [to, from, by] of FINAL) finish(sum, to, from, by);
  return sum[2] >>> 0;
}

type Words = [number, number, number];
type Round = readonly [to: number, from: number, by: number];

const MIX: readonly Round[] = [
  [0, 2, 4],
  [1, 0, 6],
  [2, 1, 8],
  [0, 2, 16],
  [1, 0, 19],
  [2, 1, 4],
];

const FINAL: readonly Round[] = [
  [2, 1, 14],
  [0, 2, 11],
  [1, 0, 25],
  [2, 1, 16],
  [0, 2, 4],
  [1, 0, 14],
  [2, 1, 24],
];

function mix(words: number[], to: number, from: number, by: number): void {
  const [a = 0, c = 0, b = 0] = [words[to], words[from], words[3 - to - from]];
  words[to] = (a - c) ^ rotateLeft(c, by);
  words[from] = (c + b) | 0;
}

function finish(words: number[], to: number, from: number, by: number): void {
  const [c = 0, b = 0] = [words[to], words[from]];
  words[to] = ((c ^ b) - rotateLeft(b, by)) | 0;
}

function rotateLeft(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

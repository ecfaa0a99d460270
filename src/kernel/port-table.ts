/**
 * Ports of loopback places that are listened on elsewhere than they should be, in memory that all threads of the process share: whoever
 * connects must learn of it, whichever thread listens. An entry is two words: the address, and the port with its true one.
 */
import { ipv4ToNumber } from "#lib/ip";

/** Memory of a table; it can be handed to Workers. */
export type PortTable = SharedArrayBuffer;

const CAPACITY = 4096;

export function createPortTable(): PortTable {
  return new SharedArrayBuffer(8 * CAPACITY + 4);
}

/** The true port of an address and port; undefined when it is what it should be. */
export function portIn(table: PortTable, address: string, port: number): number | undefined {
  const words = new Int32Array(table);
  const slot = slotOf(words, ipv4ToNumber(address), port);
  const at = slot < 0 ? 0 : Atomics.load(words, slot + 1) & 0xffff;
  return at === 0 ? undefined : at;
}

/** The port that is listened on at a true one; undefined if none is there by this table. */
export function plannedPort(table: PortTable, address: string, at: number): number | undefined {
  const words = new Int32Array(table);
  const number = ipv4ToNumber(address) >> 0;
  for (let slot = 1; slot < end(words); slot += 2) {
    const ports = Atomics.load(words, slot + 1);
    if (Atomics.load(words, slot) === number && (ports & 0xffff) === at) return ports >>> 16;
  }
  return undefined;
}

/** Tells where a port is listened on; the port itself takes the entry away. A full table is left as it is. */
export function setPort(table: PortTable, address: string, port: number, at: number): void {
  const words = new Int32Array(table);
  const number = ipv4ToNumber(address);
  const known = slotOf(words, number, port);
  if (at === port) {
    if (known >= 0) clear(words, known);
    return;
  }
  const slot = known >= 0 ? known : claimSlot(words, number);
  if (slot >= 0) Atomics.store(words, slot + 1, ((port << 16) | at) >> 0);
}

/** Forgets all ports of an address. */
export function clearPorts(table: PortTable, address: string): void {
  const words = new Int32Array(table);
  const number = ipv4ToNumber(address) >> 0;
  for (let slot = 1; slot < end(words); slot += 2) {
    if (Atomics.load(words, slot) === number) clear(words, slot);
  }
}

/** Behind the last entry that was ever used: word 0 counts them. */
function end(words: Int32Array): number {
  return 1 + 2 * Atomics.load(words, 0);
}

function slotOf(words: Int32Array, address: number, port: number): number {
  for (let slot = 1; slot < end(words); slot += 2) {
    if (Atomics.load(words, slot) === address >> 0 && Atomics.load(words, slot + 1) >>> 16 === port)
      return slot;
  }
  return -1;
}

/** A free entry, taken for the address. Address 0.0.0.0, which nobody has, marks free ones. */
function claimSlot(words: Int32Array, address: number): number {
  for (let index = 0; index < CAPACITY; index += 1) {
    const slot = 1 + 2 * index;
    if (Atomics.compareExchange(words, slot, 0, address >> 0) !== 0) continue;
    for (let used = Atomics.load(words, 0); used <= index; used = Atomics.load(words, 0)) {
      Atomics.compareExchange(words, 0, used, index + 1);
    }
    return slot;
  }
  return -1;
}

function clear(words: Int32Array, slot: number): void {
  Atomics.store(words, slot + 1, 0);
  Atomics.store(words, slot, 0);
}

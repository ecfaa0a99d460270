/**
 * The order in which the endpoints of one list take their turns, and how it survives changes of the list.
 * A list's slot i is chosen by the i-th of every N new connections.
 */
import { endpointKey } from "#model";
import type { Endpoint } from "#model";

export type Backend = Pick<Endpoint, "address" | "port">;

/** What is known of a list that is in force: its slots, and the slot that the next new connection gets. */
export interface Rotation {
  readonly slots: readonly Backend[];
  readonly next: number;
}

/** `10.244.0.2:8080` */
export const backendKey: (backend: Backend) => string = endpointKey;

/**
 * The slots of a new list. They start at a place of their own for each node and list, so that the first
 * connections of many nodes do not all meet the same endpoint.
 */
export function firstSlots(wanted: readonly Backend[], node: string, list: string): readonly Backend[] {
  return wanted.length === 0 ? [] : rotate(wanted, hash(`${node} ${list}`) % wanted.length);
}

/**
 * The slots that follow `previous` when the endpoints become `wanted`.
 *
 * As many endpoints as before: those that stay keep their slots, new ones take over the slots of those that left, so
 * the kernel's counter can go on. Another number: the counter starts anew at slot 0, so the order is turned until the
 * endpoint whose turn it is stands there; new ones queue at the end.
 */
export function nextSlots(previous: Rotation, wanted: readonly Backend[]): readonly Backend[] {
  const wantedKeys = new Set(wanted.map(backendKey));
  const stay = previous.slots.every((slot) => wantedKeys.has(backendKey(slot)));
  // The very same array, so that nobody needs to look at it again.
  if (stay && wanted.length === previous.slots.length) return previous.slots;
  const knownKeys = new Set(previous.slots.map(backendKey));
  const added = wanted.filter((backend) => !knownKeys.has(backendKey(backend)));
  if (wanted.length !== previous.slots.length) {
    const staying = rotate(previous.slots, previous.next).filter((slot) => wantedKeys.has(backendKey(slot)));
    return [...staying, ...added];
  }
  let used = 0;
  return previous.slots.map((slot) => (wantedKeys.has(backendKey(slot)) ? slot : (added[used++] ?? slot)));
}

/** The same order, beginning with element `by`. */
export function rotate<T>(items: readonly T[], by: number): readonly T[] {
  return [...items.slice(by), ...items.slice(0, by)];
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  return value;
}

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
 * The slots that follow `previous` when the endpoints become `wanted`, in which an endpoint may have several turns.
 *
 * As many turns as before: endpoints that stay keep their slots, new ones take over the slots of those that left, so
 * the kernel's counter can go on. Another number: the counter starts anew at slot 0, so the order is turned until the
 * endpoint whose turn it is stands there; new ones queue at the end.
 */
export function nextSlots(previous: Rotation, wanted: readonly Backend[]): readonly Backend[] {
  const turns = turnsBy(wanted);
  const before = turnsBy(previous.slots);
  const stays = (slot: Backend): boolean => turns.get(backendKey(slot)) === before.get(backendKey(slot));
  const added = wanted.filter(
    (backend) => before.get(backendKey(backend)) !== turns.get(backendKey(backend)),
  );
  // The very same array, so that nobody needs to look at it again.
  if (added.length === 0 && wanted.length === previous.slots.length) return previous.slots;
  if (wanted.length === previous.slots.length) {
    let used = 0;
    return previous.slots.map((slot) => (stays(slot) ? slot : (added[used++] ?? slot)));
  }
  const isPlain = wanted.length === turns.size && previous.slots.length === before.size;
  const order = rotate(previous.slots, previous.next).filter(stays);
  if (isPlain) return [...order, ...added];
  // The turns of weights belong together: a sequence of its own, from the endpoint whose turn it is.
  const [first] = order;
  const start = first === undefined ? 0 : wanted.findIndex((one) => backendKey(one) === backendKey(first));
  return rotate(wanted, start);
}

/** How many turns each endpoint has. */
function turnsBy(slots: readonly Backend[]): ReadonlyMap<string, number> {
  const turns = new Map<string, number>();
  for (const slot of slots) turns.set(backendKey(slot), (turns.get(backendKey(slot)) ?? 0) + 1);
  return turns;
}

/** The same order, beginning with element `by`. */
export function rotate<T>(items: readonly T[], by: number): readonly T[] {
  return [...items.slice(by), ...items.slice(0, by)];
}

/** FNV-1a, 32 bits. */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  return value;
}

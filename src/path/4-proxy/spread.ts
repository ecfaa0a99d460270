/**
 * Schedulers that rules can carry out by the slots of a list alone: weights by repeating an endpoint, a source hash by a
 * table of slots. Pure.
 */
import type { Scheduler } from "#model";
import { backendKey, hash } from "./rotation.ts";
import type { Backend } from "./rotation.ts";

/** Longest sequence of turns; weights are made coarser where they would need a longer one. */
const MOST_TURNS = 1024;

/** Slots of a source hash for each endpoint, at least: their shares differ by about a quarter. */
const SLOTS_PER_ENDPOINT = 16;
const MOST_HASH_SLOTS = 4096;

/** By mode: the schedulers that its rules carry out by slots. */
export const slotSchedulers: Readonly<Partial<Record<string, readonly Scheduler[]>>> = {
  nftables: ["wrr", "sh"],
  iptables: ["wrr"],
  userspace: ["wrr", "sh"],
};

/**
 * A sequence in which each endpoint has as many turns as its weight, spread as evenly as can be: in each step
 * everybody gains its weight, and who has most goes and pays the sum (nginx' smooth weighted round robin).
 * @param weights by `backendKey`; 1 where nothing is said.
 */
export function weightedTurns(
  backends: readonly Backend[],
  weights: ReadonlyMap<string, number>,
): readonly Backend[] {
  const shares = reduced(backends.map((backend) => weights.get(backendKey(backend)) ?? 1));
  const total = shares.reduce((sum, share) => sum + share, 0);
  const gained = shares.map(() => 0);
  return Array.from({ length: total }, () => {
    let most = 0;
    for (const [i, share] of shares.entries()) {
      gained[i] = (gained[i] ?? 0) + share;
      if ((gained[i] ?? 0) > (gained[most] ?? 0)) most = i;
    }
    gained[most] = (gained[most] ?? 0) - total;
    return backends[most];
  }).filter((backend) => backend !== undefined);
}

/** The same proportions in the smallest numbers; about the same where these are too many turns. */
function reduced(weights: readonly number[]): readonly number[] {
  const divisor = weights.reduce(greatestDivisor, 0);
  const smallest = weights.map((weight) => weight / divisor);
  const total = smallest.reduce((sum, weight) => sum + weight, 0);
  if (total <= MOST_TURNS) return smallest;
  return smallest.map((weight) => Math.max(1, Math.round((weight * MOST_TURNS) / total)));
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/**
 * A table of slots for a hash of the source: slot i belongs to the endpoint whose hash with i is greatest, so that it is
 * the same on every node, and an endpoint that comes or goes moves only its own share ("rendezvous hashing").
 */
export function hashSlots(backends: readonly Backend[]): readonly Backend[] {
  const wanted = SLOTS_PER_ENDPOINT * Math.max(backends.length, 4);
  const count = Math.min(2 ** Math.ceil(Math.log2(wanted)), MOST_HASH_SLOTS);
  return Array.from({ length: count }, (_, slot) => {
    const worth = (backend: Backend): number => mixed(hash(`${backendKey(backend)} ${slot}`));
    return backends.reduce((best, backend) => (worth(backend) > worth(best) ? backend : best));
  });
}

/** Every bit of the result depends on every bit given (MurmurHash3's finalizer). */
function mixed(value: number): number {
  const once = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  const twice = Math.imul(once ^ (once >>> 13), 0xc2b2ae35);
  return (twice ^ (twice >>> 16)) >>> 0;
}

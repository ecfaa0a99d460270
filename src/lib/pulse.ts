/** Who has fallen silent: everybody is asked again and again, and whoever leaves so many questions unanswered is. */
import { systemClock, type Clock } from "./running-time.ts";

export interface PulseOptions {
  /** Sends one question; answers come by `heard`. */
  readonly send: (address: string, sequence: number) => void;
  /** Called when `isSilent` has changed for any address. */
  readonly onChange: () => void;
  /** So many unanswered questions are silence: it is noticed so many intervals after the last sign of life, or one more. */
  readonly misses: number;
  readonly clock?: Clock;
}

export interface Pulse {
  /** Asks exactly these addresses from now on. */
  watch(addresses: readonly string[]): void;
  heard(address: string): void;
  /** Whether an address that has answered before does not answer now. One that never did may just not answer at all. */
  isSilent(address: string): boolean;
  close(): void;
}

/** Milliseconds between two questions to the same address. */
const INTERVAL_MS = 40;
/** Where there are very many addresses, no more questions than this are asked in a millisecond. */
const MOST_PER_MS = 1;

interface Listened {
  /** Since the last answer; undefined before the first one. */
  unanswered: number | undefined;
}

/**
 * Begins to ask. Each question comes a whole interval after the one before, whatever held this thread up meanwhile: answers
 * that have arrived are always read in between.
 */
export function startPulse({ send, onChange, misses, clock = systemClock }: PulseOptions): Pulse {
  let listened = new Map<string, Listened>();
  let sequence = 0;
  const isSilent = (address: string): boolean => (listened.get(address)?.unanswered ?? 0) > misses;

  const ask = (): void => {
    let fell = false;
    sequence = (sequence + 1) & 0xffff;
    for (const [address, one] of listened) {
      if (one.unanswered !== undefined) one.unanswered += 1;
      fell ||= one.unanswered === misses + 1;
      send(address, sequence);
    }
    stop = clock.after(Math.max(INTERVAL_MS, listened.size / MOST_PER_MS), ask);
    if (fell) onChange();
  };
  let stop = clock.after(0, ask);

  return {
    watch(addresses) {
      listened = new Map(
        addresses.map((address) => [address, listened.get(address) ?? { unanswered: undefined }]),
      );
    },
    heard(address) {
      const one = listened.get(address);
      if (one === undefined) return;
      const wasSilent = isSilent(address);
      one.unanswered = 0;
      if (wasSilent) onChange();
    },
    isSilent,
    close: () => stop(),
  };
}

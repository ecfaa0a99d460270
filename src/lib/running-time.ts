/** Time limits that a busy machine does not cut short. */

export interface Clock {
  /** Milliseconds that only grow. */
  now(): number;
  /** Calls back once; returns how to prevent it. */
  after(ms: number, call: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, call) {
    const timer = setTimeout(call, ms);
    return () => clearTimeout(timer);
  },
};

/** So many parts of the time must each pass by themselves. */
const TICKS = 6;

/**
 * As `clock.after`, but only time in which this thread runs counts: while it is held up for long it cannot read an answer
 * either, and a machine without breath would find everybody dead at once.
 */
export function afterRunning(ms: number, call: () => void, clock: Clock = systemClock): () => void {
  let left = TICKS;
  const tick = (): void => {
    left -= 1;
    if (left === 0) call();
    else cancel = clock.after(ms / TICKS, tick);
  };
  let cancel = clock.after(ms / TICKS, tick);
  return () => cancel();
}

/** A clock that stands until it is moved, for tests. */
import type { Clock } from "./running-time.ts";

export interface ManualClock extends Clock {
  /** Runs what is due until then, one timer after the other. */
  advance(ms: number): void;
  /** Time passes in which no timer runs. */
  stall(ms: number): void;
}

export function manualClock(): ManualClock {
  let now = 0;
  const timers = new Set<{ readonly at: number; readonly call: () => void }>();
  return {
    now: () => now,
    after(ms, call) {
      const timer = { at: now + ms, call };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    advance(ms) {
      const end = now + ms;
      for (;;) {
        const [next] = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
        if (next === undefined) break;
        timers.delete(next);
        now = Math.max(now, next.at);
        next.call();
      }
      now = end;
    },
    stall(ms) {
      now += ms;
    },
  };
}

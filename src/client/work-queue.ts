import { backoffDelay } from "./backoff.ts";
import type { Clock } from "./clock.ts";

/** What a queue has done so far. */
export interface WorkQueueMetrics {
  /** Keys added, those that were waiting already not counted. */
  readonly adds: number;
  readonly retries: number;
  /** Keys waiting to be taken now. */
  readonly depth: number;
}

/**
 * Keys waiting for work. A key waits at most once, and is never handed out while it is being worked on: added
 * meanwhile, it comes back after `done`. Order is first come, first served.
 */
export interface WorkQueue {
  add(key: string): void;
  /** Adds the key after `ms` milliseconds; of several such requests the earliest counts. */
  addAfter(key: string, ms: number): void;
  /** Adds the key after its back-off: 5 ms after the first failure, doubling up to 30 s. */
  retry(key: string): void;
  /** The key did well: its back-off starts anew. */
  forgive(key: string): void;
  /** Takes a key, if one waits. Give it back with `done`. */
  take(): string | undefined;
  done(key: string): void;
  metrics(): WorkQueueMetrics;
  /** Drops everything; later adds do nothing. */
  close(): void;
}

const retryPauses = { base: 5, max: 30_000 };

/** `onReady` is called whenever there may be a key to take. */
export function createWorkQueue(clock: Clock, onReady: () => void): WorkQueue {
  const waiting = new Set<string>();
  const working = new Set<string>();
  const again = new Set<string>();
  const failures = new Map<string, number>();
  const timers = new Map<string, { at: number; cancel: () => void }>();
  let closed = false;
  let adds = 0;
  let retries = 0;

  const add = (key: string): void => {
    if (closed || waiting.has(key)) return;
    if (working.has(key)) return void again.add(key);
    waiting.add(key);
    adds += 1;
    onReady();
  };
  const addAfter = (key: string, ms: number): void => {
    const at = clock.now() + ms;
    const timer = timers.get(key);
    if (closed || (timer !== undefined && timer.at <= at)) return;
    timer?.cancel();
    const cancel = clock.setTimer(ms, () => {
      timers.delete(key);
      add(key);
    });
    timers.set(key, { at, cancel });
  };
  return {
    add,
    addAfter,
    retry: (key) => {
      const count = (failures.get(key) ?? 0) + 1;
      failures.set(key, count);
      retries += 1;
      addAfter(key, backoffDelay(count, retryPauses));
    },
    forgive: (key) => void failures.delete(key),
    take: () => {
      const [key] = waiting;
      if (key === undefined) return undefined;
      waiting.delete(key);
      working.add(key);
      return key;
    },
    done: (key) => {
      working.delete(key);
      if (again.delete(key)) add(key);
    },
    metrics: () => ({ adds, retries, depth: waiting.size }),
    close: () => {
      closed = true;
      waiting.clear();
      again.clear();
      for (const timer of timers.values()) timer.cancel();
      timers.clear();
    },
  };
}

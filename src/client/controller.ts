import { codeOf, messageOf } from "#lib/errors";
import { type Log, silentLog } from "#lib/log";
import { type Clock, systemClock } from "./clock.ts";
import { createWorkQueue, type WorkQueueMetrics } from "./work-queue.ts";

export interface ControllerOptions {
  /** For messages and metrics: `deployment`. */
  readonly name: string;
  /** Nothing is reconciled before all of these have synced. */
  readonly informers: readonly { readonly synced: Promise<void> }[];
  /**
   * Brings the object with this key to what it must be, from the state as it is now. Returns the
   * milliseconds after which it wants to look again, if it does. A rejection is retried with back-off.
   */
  readonly reconcile: (key: string) => Promise<number | void>;
  /** How many keys are worked on at the same time; 1 if not given. Never one key twice. */
  readonly workers?: number;
  readonly log?: Log;
  readonly clock?: Clock;
}

export interface ControllerMetrics extends WorkQueueMetrics {
  readonly name: string;
  readonly reconciles: number;
  /** Rejected ones, conflicts with other writers included. */
  readonly errors: number;
}

export interface Controller {
  enqueue(key: string): void;
  metrics(): ControllerMetrics;
  /** Takes no further key; resolves when the work under way has ended. */
  close(): Promise<void>;
}

/** Runs a level-triggered control loop: keys are hints that something changed, never what changed. */
export function runController(options: ControllerOptions): Controller {
  const { name, informers, reconcile, workers = 1, log = silentLog, clock = systemClock } = options;
  const counts = { reconciles: 0, errors: 0 };
  const running = new Set<Promise<void>>();
  let started = false;
  let closed = false;

  const work = async (key: string): Promise<void> => {
    counts.reconciles += 1;
    try {
      const again = await reconcile(key);
      queue.forgive(key);
      if (typeof again === "number") queue.addAfter(key, again);
    } catch (error) {
      counts.errors += 1;
      // Somebody else wrote first: ordinary, and the next attempt sees what they wrote.
      if (codeOf(error) !== "Conflict" && !closed) log.warn(`cannot reconcile ${key}: ${messageOf(error)}`);
      queue.retry(key);
    }
    queue.done(key);
  };
  const pump = (): void => {
    if (!started || closed) return;
    while (running.size < workers) {
      const key = queue.take();
      if (key === undefined) return;
      const job = work(key).finally(() => {
        running.delete(job);
        pump();
      });
      running.add(job);
    }
  };
  const queue = createWorkQueue(clock, () => queueMicrotask(pump));

  void Promise.all(informers.map((informer) => informer.synced)).then(() => {
    started = true;
    pump();
  });
  return {
    enqueue: (key) => queue.add(key),
    metrics: () => ({ name, ...counts, ...queue.metrics() }),
    close: async () => {
      closed = true;
      queue.close();
      await Promise.all(running);
    },
  };
}

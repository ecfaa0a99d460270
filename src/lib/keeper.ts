/**
 * Keeps something outside of this process (rules of the kernel, say) equal to the newest value of a source: one change at a
 * time, values that arrive meanwhile coalesced into the next; after a failure everything is put in force anew, with growing
 * pauses; what somebody else took away is put back.
 */
import { setTimeout } from "node:timers/promises";
import { messageOf } from "./errors.ts";
import type { Log } from "./log.ts";

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5000;
const SHORTEST_CHECK_MS = 1000;
/** A check may take up to one part in this many of the time. */
const CHECK_SHARE = 200;

export interface KeeperOptions<T> {
  /** What is kept, in log lines: `rules`, `policies`. */
  readonly what: string;
  readonly source: { current(): T; subscribe(listener: (value: T) => void): () => void };
  /** Puts a value in force. `anew`: nobody knows what is there now. */
  readonly put: (value: T, anew: boolean) => Promise<void>;
  /** Whether what was put in force is still there. */
  readonly intact: () => Promise<boolean>;
  /** A newer value waits. */
  readonly queued?: () => void;
  /** `put` failed, and will be tried again. */
  readonly failed?: (anew: boolean) => void;
  readonly log: Log;
}

export interface Keeper<T> {
  /** Resolves when the first value is in force. */
  readonly ready: Promise<void>;
  /** Resolves when this value of the source, or a later one, is in force; rejects if closed before. */
  programmed(value: T): Promise<void>;
  /** Resolves when a value is in force of which this is true; rejects if closed before. */
  until(holds: (value: T) => boolean): Promise<void>;
  /** Puts the value in force once more although it is the same. */
  refresh(): void;
  /** Milliseconds since when a newer value waits for being put in force; 0 if none does. */
  waitingFor(): number;
  /** Ends the work; what is in force stays. */
  close(): Promise<void>;
}

/** Begins at once. */
export function startKeeping<T extends object>(options: KeeperOptions<T>): Keeper<T> {
  const { what, source, put, intact, log } = options;
  const closing = new AbortController();
  const { signal } = closing;
  const waiters = createWaiters<T>(new Error(`the keeper of ${what} is closed`));
  let anew = true;
  let wanted = 1;
  let done = 0;
  /** The place of each value in the order of their arrival. */
  const places = new WeakMap<T, number>([[source.current(), wanted]]);
  let waitingSince: number | undefined = performance.now();
  let working: Promise<void> | undefined;

  const isBehind = (): boolean => !signal.aborted && (done < wanted || anew);

  const work = async (): Promise<void> => {
    let failures = 0;
    while (isBehind()) {
      const [value, place, whole] = [source.current(), wanted, anew];
      try {
        await put(value, whole);
        anew = false;
        failures = 0;
        done = place;
        waitingSince = done < wanted ? waitingSince : undefined;
        waiters.announce(value, place);
      } catch (error) {
        anew = true;
        options.failed?.(whole);
        const pause = Math.min(FIRST_PAUSE_MS * 2 ** failures++, LONGEST_PAUSE_MS);
        log.warn(`${what} not in force, trying again in ${pause} ms: ${messageOf(error)}`);
        await sleep(pause, signal);
      }
    }
  };

  const kick = (): void => {
    if (signal.aborted) return;
    waitingSince ??= performance.now();
    working ??= work().finally(() => {
      working = undefined;
      // What came between the last look and now.
      if (isBehind()) kick();
    });
  };

  const checkOnce = async (): Promise<void> => {
    try {
      if (await intact()) return;
      log.warn(`somebody deleted ${what} of ours: putting them back`);
      anew = true;
    } catch (error) {
      log.warn(`cannot check own ${what}: ${messageOf(error)}`);
    }
  };

  const check = async (): Promise<void> => {
    let pause = SHORTEST_CHECK_MS;
    while (!signal.aborted) {
      await sleep(pause, signal);
      if (signal.aborted || working !== undefined) continue;
      const began = performance.now();
      // While the check runs it holds the place of the worker, so that nothing changes under it.
      working = checkOnce().finally(() => (working = undefined));
      await working;
      pause = Math.max(SHORTEST_CHECK_MS, CHECK_SHARE * (performance.now() - began));
      if (isBehind()) kick();
    }
  };

  const unsubscribe = source.subscribe((value) => {
    places.set(value, ++wanted);
    options.queued?.();
    kick();
  });
  const programmed = (value: T): Promise<void> => {
    const from = places.get(value) ?? wanted;
    return waiters.until((_, place) => place >= from);
  };
  const ready = programmed(source.current());
  ready.catch(() => undefined);
  kick();
  const checking = check();

  return {
    ready,
    programmed,
    until: (holds) => waiters.until(holds),
    refresh() {
      wanted += 1;
      kick();
    },
    waitingFor: () => (waitingSince === undefined ? 0 : performance.now() - waitingSince),
    async close() {
      unsubscribe();
      closing.abort();
      await Promise.all([working, checking]);
      waiters.end();
    },
  };
}

/** Those who wait for a value in force of which something is true. */
function createWaiters<T>(over: Error) {
  type Holds = (value: T, place: number) => boolean;
  let waiting: { readonly holds: Holds; resolve(): void; reject(error: Error): void }[] = [];
  let newest: readonly [T, number] | undefined;
  let ended = false;
  return {
    until: (holds: Holds): Promise<void> =>
      new Promise((resolve, reject) => {
        if (newest !== undefined && holds(...newest)) resolve();
        else if (ended) reject(over);
        else waiting.push({ holds, resolve, reject });
      }),
    announce(value: T, place: number): void {
      newest = [value, place];
      const reached = new Set(waiting.filter(({ holds }) => holds(value, place)));
      waiting = waiting.filter((one) => !reached.has(one));
      for (const { resolve } of reached) resolve();
    },
    end(): void {
      ended = true;
      for (const { reject } of waiting.splice(0)) reject(over);
    },
  };
}

/** Waits, but not longer than until the signal. */
async function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  await setTimeout(milliseconds, undefined, { signal }).catch(() => undefined);
}

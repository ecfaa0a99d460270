/**
 * Keeps the rules of one node equal to the newest snapshot: one change at a time, snapshots that arrive meanwhile
 * coalesced into the next; after a failure everything is put in force anew, with growing pauses; own rules that
 * somebody deleted are put back.
 */
import { messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import type { Snapshot, SnapshotSource } from "#model";
import type { RuleBackend } from "./backend.ts";
import { planProxy } from "./plan.ts";
import type { EndpointList, PlanOptions, ProxyPlan, Rotations } from "./plan.ts";
import { rotate } from "./rotation.ts";
import type { Rotation } from "./rotation.ts";

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5000;
const SHORTEST_CHECK_MS = 1000;
/** A check may take up to one part in this many of the time. */
const CHECK_SHARE = 200;

export interface ApplyOptions {
  readonly source: SnapshotSource;
  readonly node: string;
  readonly backend: RuleBackend;
  readonly log: Log;
  /** Called when a plan is in force, before it is announced; what it throws is logged. */
  readonly after: (plan: ProxyPlan, previous: ProxyPlan | undefined) => Promise<void>;
  readonly onProgrammed: (snapshot: Snapshot) => void;
  readonly recorder: Recorder;
  /** What holds for the next plan beside the snapshot; after a change of it call `refresh`. */
  readonly planOptions: () => PlanOptions;
}

/** What is told about the work, for metrics. */
export interface Recorder {
  /** A newer snapshot waits. */
  queued(): void;
  /** A snapshot is in force; `seconds` from the start of planning. `full`: everything was put in force anew. */
  synced(change: { readonly snapshot: Snapshot; readonly full: boolean; readonly seconds: number }): void;
  failed(full: boolean): void;
}

export interface Applier {
  /** Resolves when the first plan is in force. */
  readonly ready: Promise<void>;
  /** Resolves when this snapshot of the source, or a later one, is in force; rejects if closed before. */
  programmed(snapshot: Snapshot): Promise<void>;
  /** The lists in force with the slot that is next, as far as the kernel's counters could be read. */
  rotation(lists: readonly string[]): Promise<ReadonlyMap<string, Rotation>>;
  inForce(): ProxyPlan | undefined;
  /** Plans anew although the snapshot is the same. */
  refresh(): void;
  /** Milliseconds since when a newer snapshot waits for being put in force; 0 if none does. */
  waitingFor(): number;
  /** Ends the work and removes all own rules, unless they are to stay in force. */
  close(keepRules?: boolean): Promise<void>;
}

export function startApplying(options: ApplyOptions): Applier {
  const { source, node, backend, log } = options;
  const abort = new AbortController();
  let inForce: ProxyPlan | undefined;
  let mustSync = true;
  let failures = 0;
  let rewrites = 0;
  let waitingSince: number | undefined = performance.now();
  let working: Promise<void> | undefined;
  let wanted = 1;
  let done = 0;
  /** The place of each snapshot in the order of their arrival. */
  const places = new WeakMap<Snapshot, number>([[source.current(), wanted]]);
  let waiters: { readonly place: number; resolve(): void; reject(error: Error): void }[] = [];

  const kick = (): void => {
    if (abort.signal.aborted) return;
    waitingSince ??= performance.now();
    working ??= work().finally(() => {
      working = undefined;
      // What came between the last look and now.
      if (isBehind()) kick();
    });
  };

  const isBehind = (): boolean => done < wanted || mustSync;

  const work = async (): Promise<void> => {
    while (!abort.signal.aborted && isBehind()) {
      try {
        await step();
        failures = 0;
      } catch (error) {
        options.recorder.failed(mustSync);
        mustSync = true;
        const pause = Math.min(FIRST_PAUSE_MS * 2 ** failures++, LONGEST_PAUSE_MS);
        log.warn(`rules not changed, trying again in ${pause} ms: ${messageOf(error)}`);
        await sleep(pause, abort.signal);
      }
    }
  };

  const step = async (): Promise<void> => {
    const place = wanted;
    const began = performance.now();
    const full = mustSync;
    const snapshot = source.current();
    const previous = inForce;
    const adopted = mustSync ? await planOnFound(snapshot, previous) : undefined;
    const plan = adopted ?? (await planOn(snapshot, previous));
    if (mustSync && adopted === undefined) await backend.sync(plan);
    else await backend.update(plan);
    mustSync = false;
    inForce = plan;
    options.recorder.synced({ snapshot, full, seconds: (performance.now() - began) / 1000 });
    try {
      await options.after(plan, previous);
    } catch (error) {
      log.warn(`rules are in force, but not all that follows from them: ${messageOf(error)}`);
    }
    done = place;
    waitingSince = done < wanted ? waitingSince : undefined;
    announce(snapshot);
  };

  /** The plan; where a list's rule must be rewritten, the order goes on where its counter stands. */
  const planOn = async (snapshot: Snapshot, previous: ProxyPlan | undefined): Promise<ProxyPlan> => {
    const kept = rotations(previous, new Map());
    const facts = options.planOptions();
    const plan = planProxy(snapshot, node, kept, facts);
    const rewritten = [...plan.lists.values()]
      .filter((list) => {
        const before = previous?.lists.get(list.key);
        return before !== undefined && (mustSync || (before !== list && beginsAnew(before, list)));
      })
      .map((list) => list.key);
    if (rewritten.length === 0) return plan;
    const turns = await backend.turns(rewritten);
    const known = new Map(rewritten.map((list) => [list, turns.get(list) ?? rewrites++] as const));
    return planProxy(snapshot, node, rotations(previous, known), facts);
  };

  /** The plan that goes on where the rules stand that are there; undefined where they cannot be taken over. */
  const planOnFound = async (
    snapshot: Snapshot,
    previous: ProxyPlan | undefined,
  ): Promise<ProxyPlan | undefined> => {
    const facts = options.planOptions();
    const kept = rotations(previous, new Map());
    const found = await backend.adopt?.(planProxy(snapshot, node, kept, facts));
    if (found === undefined) return undefined;
    // The others are gone, and nobody knows whose turn it was.
    const lost = [...(previous?.lists.keys() ?? [])].filter((key) => !found.has(key));
    const anew = rotations(previous, new Map(lost.map((key) => [key, rewrites++])));
    return planProxy(snapshot, node, { get: (key) => found.get(key) ?? anew.get(key) }, facts);
  };

  const announce = (snapshot: Snapshot): void => {
    const reached = waiters.filter((waiter) => waiter.place <= done);
    waiters = waiters.filter((waiter) => waiter.place > done);
    for (const waiter of reached) waiter.resolve();
    options.onProgrammed(snapshot);
  };

  const check = async (): Promise<void> => {
    let pause = SHORTEST_CHECK_MS;
    while (!abort.signal.aborted) {
      await sleep(pause, abort.signal);
      if (abort.signal.aborted || working !== undefined) continue;
      const began = performance.now();
      // While the check runs it holds the place of the worker, so that the rules do not change under it.
      working = checkOnce().finally(() => (working = undefined));
      await working;
      pause = Math.max(SHORTEST_CHECK_MS, CHECK_SHARE * (performance.now() - began));
      if (isBehind()) kick();
    }
  };

  const checkOnce = async (): Promise<void> => {
    try {
      if (await backend.intact()) return;
      log.warn("somebody deleted rules of ours: putting them back");
      mustSync = true;
    } catch (error) {
      log.warn(`cannot check own rules: ${messageOf(error)}`);
    }
  };

  const programmed = (snapshot: Snapshot): Promise<void> =>
    new Promise((resolve, reject) => {
      if (abort.signal.aborted) return reject(new Error("the proxy is closed"));
      const place = places.get(snapshot) ?? wanted;
      if (place <= done) return resolve();
      waiters.push({ place, resolve, reject });
    });

  const unsubscribe = source.subscribe((snapshot) => {
    places.set(snapshot, ++wanted);
    options.recorder.queued();
    kick();
  });
  const ready = programmed(source.current());
  ready.catch(() => undefined);
  kick();
  const checking = check();

  return {
    ready,
    programmed,
    inForce: () => inForce,
    refresh() {
      wanted += 1;
      kick();
    },
    waitingFor: () => (waitingSince === undefined ? 0 : performance.now() - waitingSince),
    async rotation(lists) {
      const turns = await backend.turns(lists);
      return new Map(
        [...turns].flatMap(([key, next]) => {
          const slots = inForce?.lists.get(key)?.slots;
          return slots === undefined ? [] : [[key, { slots, next }] as const];
        }),
      );
    },
    async close(keepRules = false) {
      unsubscribe();
      abort.abort();
      await Promise.all([working, checking]);
      for (const waiter of waiters) waiter.reject(new Error("the proxy was closed"));
      if (!keepRules) await backend.remove();
    },
  };
}

/** Whether the rules that give a list its turns must be written anew. */
export function beginsAnew(before: EndpointList, after: EndpointList): boolean {
  const hadAffinity = before.affinitySeconds !== undefined;
  return (
    before.slots.length !== after.slots.length ||
    before.scheduler !== after.scheduler ||
    hadAffinity !== (after.affinitySeconds !== undefined)
  );
}

/** The lists of a plan. Where the next slot is known the rule will start at slot 0, so the slots are turned to it. */
function rotations(plan: ProxyPlan | undefined, next: ReadonlyMap<string, number>): Rotations {
  return {
    get(key) {
      const slots = plan?.lists.get(key)?.slots;
      if (slots === undefined) return undefined;
      const at = next.get(key);
      return { slots: at === undefined ? slots : rotate(slots, at % slots.length), next: 0 };
    },
  };
}

/** Waits, but not longer than until the signal. */
function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}

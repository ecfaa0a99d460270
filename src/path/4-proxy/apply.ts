/** Keeps the rules of one node equal to the newest snapshot, with the order of turns going on through every change. */
import { messageOf } from "#lib/errors";
import { startKeeping } from "#lib/keeper";
import type { Log } from "#lib/log";
import type { Snapshot, SnapshotSource } from "#model";
import type { RuleBackend } from "./backend.ts";
import { beginsAnew, continued, rotations } from "./continuity.ts";
import { planProxy } from "./plan.ts";
import type { PlanOptions, ProxyPlan } from "./plan.ts";
import type { Rotation } from "./rotation.ts";

export interface ApplyOptions {
  readonly source: SnapshotSource;
  readonly node: string;
  readonly backend: RuleBackend;
  readonly log: Log;
  /**
   * Called when a plan is in force, before it is announced; what it throws is logged. `continued`: whether the turns, and
   * counters, of the list with this key went on; otherwise they began anew.
   */
  readonly after: (
    plan: ProxyPlan,
    previous: ProxyPlan | undefined,
    continued: (list: string) => boolean,
  ) => Promise<void>;
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
  const { source, node, backend, log, recorder } = options;
  let inForce: ProxyPlan | undefined;
  let rewrites = 0;

  const put = async (snapshot: Snapshot, anew: boolean): Promise<void> => {
    const began = performance.now();
    const previous = inForce;
    const adopted = anew ? await planOnFound(snapshot, previous) : undefined;
    const plan = adopted?.plan ?? (await planOn(snapshot, previous, anew));
    const before = anew ? adopted?.found : previous?.lists;
    if (anew && adopted === undefined) await backend.sync(plan);
    else await backend.update(plan);
    inForce = plan;
    recorder.synced({ snapshot, full: anew, seconds: (performance.now() - began) / 1000 });
    try {
      await options.after(plan, previous, continued(plan, before));
    } catch (error) {
      log.warn(`rules are in force, but not all that follows from them: ${messageOf(error)}`);
    }
    options.onProgrammed(snapshot);
  };

  /** The plan; where a list's rule must be rewritten, the order goes on where its counter stands. */
  const planOn = async (
    snapshot: Snapshot,
    previous: ProxyPlan | undefined,
    anew: boolean,
  ): Promise<ProxyPlan> => {
    const kept = rotations(previous, new Map());
    const facts = options.planOptions();
    const plan = planProxy(snapshot, node, kept, facts);
    const rewritten = [...plan.lists.values()]
      .filter((list) => {
        const before = previous?.lists.get(list.key);
        return before !== undefined && (anew || (before !== list && beginsAnew(before, list)));
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
  ): Promise<{ plan: ProxyPlan; found: ReadonlyMap<string, Rotation> } | undefined> => {
    const facts = options.planOptions();
    const kept = rotations(previous, new Map());
    const found = await backend.adopt?.(planProxy(snapshot, node, kept, facts));
    if (found === undefined) return undefined;
    // The others are gone, and nobody knows whose turn it was.
    const lost = [...(previous?.lists.keys() ?? [])].filter((key) => !found.has(key));
    const anew = rotations(previous, new Map(lost.map((key) => [key, rewrites++])));
    const rotationsThere = { get: (key: string) => found.get(key) ?? anew.get(key) };
    return { plan: planProxy(snapshot, node, rotationsThere, facts), found };
  };

  const keeper = startKeeping({
    what: "rules",
    source,
    put,
    intact: () => backend.intact(),
    queued: () => recorder.queued(),
    failed: (full) => recorder.failed(full),
    log,
  });
  return {
    ready: keeper.ready,
    programmed: keeper.programmed,
    inForce: () => inForce,
    refresh: keeper.refresh,
    waitingFor: keeper.waitingFor,
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
      await keeper.close();
      if (!keepRules) await backend.remove();
    },
  };
}

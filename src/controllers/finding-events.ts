/** What the model finds wrong with objects -> Events on them, for `kubectl describe`. */
import type { Clock } from "#client";
import type { Finding, Snapshot, SnapshotSource } from "#model";
import { type Context, recorderFor } from "./context.ts";
import { kind, subjectOf } from "./objects.ts";

/** Milliseconds that a finding must last: while objects are being applied one by one, most come and go. */
const settleTime = 1000;

/** Kinds whose findings become events; the snapshot's informers have them all. */
const kinds = [
  kind("networking.k8s.io/v1", "Ingress"),
  kind("networking.k8s.io/v1", "NetworkPolicy"),
  kind("v1", "Service"),
  kind("v1", "Node"),
];

/**
 * Tells of each finding once it has lasted, and again when it comes back after having gone.
 */
export interface FindingWatch {
  /** Takes the findings of now; returns the milliseconds until one of them will have lasted, if any is new. */
  update(findings: readonly Finding[]): number | undefined;
}

export function createFindingWatch(clock: Clock, tell: (finding: Finding) => void): FindingWatch {
  let known = new Map<string, { since: number; told: boolean }>();
  return {
    update: (findings) => {
      const next = new Map<string, { since: number; told: boolean }>();
      for (const finding of findings) {
        if (finding.severity === "info") continue;
        const key = JSON.stringify([finding.code, finding.object, finding.field, finding.message]);
        const entry = known.get(key) ?? { since: clock.now(), told: false };
        next.set(key, entry);
        if (entry.told || clock.now() - entry.since < settleTime) continue;
        entry.told = true;
        tell(finding);
      }
      known = next;
      const waits = [...known.values()]
        .filter(({ told }) => !told)
        .map(({ since }) => since + settleTime - clock.now());
      return waits.length === 0 ? undefined : Math.min(...waits);
    },
  };
}

export function startFindingEvents(context: Context, source: SnapshotSource): { close(): void } {
  const recorder = recorderFor(context, "inroad-controller");
  const watch = createFindingWatch(context.clock, ({ object, code, message, mend }) => {
    const info = kinds.find((one) => one.kind === object.kind);
    const subject = info && context.informers.of(info).get(object.namespace, object.name);
    if (info === undefined || subject === undefined) return;
    const text = mend === undefined ? message : `${message}; ${mend}`;
    recorder.event(subjectOf(info, subject), "Warning", code, text);
  });
  let cancel: (() => void) | undefined;
  const look = (snapshot: Snapshot): void => {
    cancel?.();
    const wait = watch.update(snapshot.findings);
    cancel = wait === undefined ? undefined : context.clock.setTimer(wait, () => look(source.current()));
  };
  const unsubscribe = source.subscribe(look);
  return {
    close: () => {
      unsubscribe();
      cancel?.();
    },
  };
}

/** A pod's presence in the data planes, from its own side: its readiness gate, and the wait before it ends. */
import { programmedGate, type KubeObject } from "#kube";
import { asPod, podId, specOf } from "./pod-object.ts";
import type { Rollout, ServedPod } from "./rollout.ts";

export interface Presence {
  /** The data planes know the pod since it has been able to serve; what its readiness gate says. */
  readonly programmed: () => boolean;
  /** To be called when the object or the readiness of its containers may have changed. */
  update(containersReady: boolean): void;
  /** Resolves when the pod may end; one wait for all containers, at most 5 s and at most half of the grace time. */
  leave(graceMs: number): Promise<void>;
}

export interface PresenceOptions {
  readonly object: () => KubeObject;
  readonly rollout: Rollout;
  readonly onProgrammed: () => void;
  /** A wait ended without these. */
  readonly onMissing: (missing: readonly string[]) => void;
}

const LONGEST_LEAVE_MS = 5000;

export function createPresence({ object, rollout, onProgrammed, onMissing }: PresenceOptions): Presence {
  let arriving: AbortController | undefined;
  let programmed = false;
  let leaving: Promise<void> | undefined;

  const arrive = async (ending: AbortController): Promise<void> => {
    const missing = await rollout.arrive(served(object()), ending.signal);
    if (ending.signal.aborted) return;
    if (missing.length > 0 && !isDeleting(object())) onMissing(missing);
    programmed = true;
    onProgrammed();
  };
  const leave = async (withinMs: number): Promise<void> => {
    const missing = await rollout.leave(served(object()), withinMs);
    if (missing.length > 0) onMissing(missing);
  };
  return {
    programmed: () => programmed,
    update(containersReady) {
      // A pod that ends stays what it was: ready, and so the last resort of its Services.
      if (isDeleting(object()) || !gatesOf(object()).includes(programmedGate)) return;
      const able = containersReady && closedGates(object()).length === 0;
      if (able === (arriving !== undefined)) return;
      programmed = false;
      arriving?.abort();
      arriving = able ? new AbortController() : undefined;
      if (arriving !== undefined) void arrive(arriving);
    },
    leave: (graceMs) => (leaving ??= leave(Math.min(LONGEST_LEAVE_MS, graceMs / 2))),
  };
}

function served(object: KubeObject): ServedPod {
  const { namespace, name } = podId(object);
  return { namespace, name, labels: object.metadata?.labels ?? {} };
}

function isDeleting({ metadata }: KubeObject): boolean {
  return metadata?.deletionTimestamp !== undefined;
}

/** Readiness gates (KEP-580) of a pod. */
export function gatesOf(object: KubeObject): string[] {
  return (specOf(object).readinessGates ?? []).map(({ conditionType }) => conditionType);
}

/** Those that are others' to open, and that nobody has opened. */
export function closedGates(object: KubeObject): string[] {
  const conditions = asPod(object).status?.conditions ?? [];
  return gatesOf(object).filter(
    (gate) =>
      gate !== programmedGate && !conditions.some(({ type, status }) => type === gate && status === "True"),
  );
}

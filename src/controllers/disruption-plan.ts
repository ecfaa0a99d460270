/** The status of a PodDisruptionBudget: how many of its pods may be evicted now. Pure; KEP-85, policy/v1. */
import type {
  PodDisruptionBudget as BudgetWire,
  PodDisruptionBudgetStatus,
} from "kubernetes-types/policy/v1.js";
import type { KubeObject } from "#kube";
import { conditionOf, isDeleting, isReady, nameOf, type Pod, wireTime } from "./objects.ts";

export type Budget = BudgetWire & KubeObject;

/** A controller of pods and how many it wants. */
export interface Scale {
  readonly uid: string;
  readonly replicas: number;
}

export interface BudgetPlan {
  readonly status: PodDisruptionBudgetStatus;
  /** Milliseconds until an eviction that nobody carried out is forgotten; undefined if there is none. */
  readonly again: number | undefined;
}

/** An eviction counts that long as if it had happened, milliseconds; then the pod is thought to stay. */
const evictionLife = 120_000;

/**
 * @param scaleOf the scale of a pod's controller: undefined for a pod without one; a text says why it is not known
 */
export function planBudget(
  budget: Budget,
  pods: readonly Pod[],
  scaleOf: (pod: Pod) => Scale | string | undefined,
  now: number,
): BudgetPlan {
  const disrupted = stillDisrupted(budget, pods, now);
  const currentHealthy = pods.filter(
    (pod) => !isDeleting(pod) && isReady(pod) && disrupted[nameOf(pod)] === undefined,
  ).length;
  const wanted = wantedPods(budget, pods, scaleOf);
  const failed = typeof wanted === "string" ? wanted : undefined;
  const { expected, desired } = typeof wanted === "string" ? { expected: 0, desired: 0 } : wanted;
  const allowed = expected === 0 ? 0 : Math.max(0, currentHealthy - desired);
  const ends = Object.values(disrupted).map((time) => Date.parse(time) + evictionLife - now);
  return {
    status: {
      ...(Object.keys(disrupted).length === 0 ? {} : { disruptedPods: disrupted }),
      currentHealthy,
      desiredHealthy: desired,
      expectedPods: expected,
      disruptionsAllowed: allowed,
      observedGeneration: budget.metadata?.generation ?? 0,
      conditions: conditionsOf(budget, allowed, failed, now),
    },
    again: ends.length === 0 ? undefined : Math.min(...ends),
  };
}

/** How many pods there should be, and how many of them must be healthy; or why that cannot be told. */
function wantedPods(
  { spec }: Budget,
  pods: readonly Pod[],
  scaleOf: (pod: Pod) => Scale | string | undefined,
): { expected: number; desired: number } | string {
  const { minAvailable, maxUnavailable } = spec ?? {};
  if (maxUnavailable === undefined && typeof minAvailable === "number") {
    return { expected: pods.length, desired: minAvailable };
  }
  const scales = new Map<string, number>();
  for (const pod of pods) {
    const scale = scaleOf(pod);
    if (typeof scale === "string") return scale;
    if (scale !== undefined) scales.set(scale.uid, scale.replicas);
  }
  const expected = [...scales.values()].reduce((sum, replicas) => sum + replicas, 0);
  if (maxUnavailable !== undefined) {
    return { expected, desired: Math.max(0, expected - share(maxUnavailable, expected)) };
  }
  return { expected, desired: minAvailable === undefined ? 0 : share(minAvailable, expected) };
}

/** A count, or a percentage rounded up. */
function share(value: number | string, total: number): number {
  return typeof value === "number" ? value : Math.ceil((Number.parseInt(value, 10) * total) / 100);
}

/** Evictions that were granted and whose pods have not begun to end yet. */
function stillDisrupted(budget: Budget, pods: readonly Pod[], now: number): Record<string, string> {
  const alive = new Set(pods.filter((pod) => !isDeleting(pod)).map(nameOf));
  const entries = Object.entries(budget.status?.disruptedPods ?? {});
  return Object.fromEntries(
    entries.filter(([name, time]) => alive.has(name) && Date.parse(time) + evictionLife > now),
  );
}

function conditionsOf(budget: Budget, allowed: number, failed: string | undefined, now: number) {
  const type = "DisruptionAllowed";
  const before = conditionOf(budget, type);
  const status = allowed > 0 ? "True" : "False";
  const condition = {
    type,
    status,
    reason: failed === undefined ? (allowed > 0 ? "SufficientPods" : "InsufficientPods") : "SyncFailed",
    message: failed ?? "",
    lastTransitionTime: before?.status === status ? before.lastTransitionTime : wireTime(now),
    observedGeneration: budget.metadata?.generation ?? 0,
  };
  return [...(budget.status?.conditions ?? []).filter((one) => one.type !== type), condition];
}

/** One pass over a ReplicaSet: how many pods to make, which to delete, and its status. Pure. */
import type { ReplicaSetCondition, ReplicaSetStatus } from "kubernetes-types/apps/v1.js";
import {
  annotationsOf,
  byText,
  conditionOf,
  isActive,
  isDeleting,
  isReady,
  labelsOf,
  type Pod,
  type ReplicaSet,
  uidOf,
  untilAvailable,
  wireTime,
} from "./objects.ts";

export interface ReplicaSetPlan {
  readonly create: number;
  readonly remove: readonly Pod[];
  /** Milliseconds until a pod becomes available by minReadySeconds alone. */
  readonly again: number | undefined;
}

/** Most pods made or deleted in one pass. */
const burst = 500;

/**
 * @param pods the pods that the ReplicaSet controls
 * @param related active pods of all ReplicaSets of the same owner: of pods on one node the crowded ones go first
 */
export function planReplicaSet(
  set: ReplicaSet,
  pods: readonly Pod[],
  related: readonly Pod[],
  now: number,
): ReplicaSetPlan {
  const active = pods.filter(isActive);
  const change = isDeleting(set) ? 0 : (set.spec?.replicas ?? 1) - active.length;
  const waits = active
    .map((pod) => untilAvailable(pod, set.spec?.minReadySeconds ?? 0, now) ?? 0)
    .filter((wait) => wait > 0);
  return {
    create: Math.min(burst, Math.max(0, change)),
    remove: change < 0 ? rankForDeletion(active, related, now).slice(0, Math.min(burst, -change)) : [],
    again: waits.length === 0 ? undefined : Math.min(...waits),
  };
}

/** What is compared, the first difference decides; the smaller value is deleted first. */
type Rank = readonly [
  assigned: number,
  phase: number,
  ready: number,
  deletionCost: number,
  crowding: number,
  readySince: number,
  restarts: number,
  age: number,
];

const phases: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

/** Active pods, those to delete first in front: as documented for Kubernetes' ReplicaSet ("Scaling a ReplicaSet"). */
export function rankForDeletion(active: readonly Pod[], related: readonly Pod[], now: number): Pod[] {
  const onNode = new Map<string, number>();
  for (const pod of related.filter(isActive)) {
    const node = pod.spec?.nodeName ?? "";
    onNode.set(node, (onNode.get(node) ?? 0) + 1);
  }
  const ranked = active.map((pod) => ({ pod, rank: rankOf(pod, onNode, now) }));
  return ranked
    .toSorted((a, b) => compareRanks(a.rank, b.rank) || byText(uidOf(a.pod), uidOf(b.pod)))
    .map(({ pod }) => pod);
}

function rankOf(pod: Pod, onNode: ReadonlyMap<string, number>, now: number): Rank {
  const node = pod.spec?.nodeName;
  const restarts = (pod.status?.containerStatuses ?? []).map(({ restartCount }) => restartCount ?? 0);
  return [
    node ? 1 : 0,
    phases[pod.status?.phase ?? "Pending"] ?? 0,
    isReady(pod) ? 1 : 0,
    Number(annotationsOf(pod)["controller.kubernetes.io/pod-deletion-cost"] ?? 0) || 0,
    -(onNode.get(node ?? "") ?? 0),
    isReady(pod) ? ageClass(conditionOf(pod, "Ready")?.lastTransitionTime, now) : 0,
    -Math.max(0, ...restarts),
    ageClass(pod.metadata?.creationTimestamp, now),
  ];
}

/** Ages differ only when one is about twice the other (KEP-2185): a few seconds say nothing about who serves better. */
function ageClass(since: string | undefined, now: number): number {
  const age = now - Date.parse(since ?? "");
  return age > 0 ? Math.floor(Math.log2(age)) : 0;
}

function compareRanks(a: Rank, b: Rank): number {
  const index = a.findIndex((value, at) => value !== b[at]);
  return index === -1 ? 0 : (a[index] ?? 0) - (b[index] ?? 0);
}

/**
 * The status of a ReplicaSet.
 * @param failure reason and message if pods could not be made or deleted in this pass
 */
export function replicaSetStatus(
  set: ReplicaSet,
  pods: readonly Pod[],
  failure: { readonly reason: string; readonly message: string } | undefined,
  now: number,
): ReplicaSetStatus {
  const active = pods.filter(isActive);
  const labels = Object.entries(set.spec?.template?.metadata?.labels ?? {});
  const count = (test: (pod: Pod) => boolean): number => active.filter(test).length;
  const counts = {
    fullyLabeledReplicas: count((pod) => labels.every(([name, value]) => labelsOf(pod)[name] === value)),
    readyReplicas: count(isReady),
    availableReplicas: count((pod) => untilAvailable(pod, set.spec?.minReadySeconds ?? 0, now) === 0),
  };
  const conditions = failureConditions(set.status?.conditions ?? [], failure, now);
  return {
    replicas: active.length,
    ...Object.fromEntries(Object.entries(counts).filter(([, value]) => value !== 0)),
    observedGeneration: set.metadata?.generation ?? 0,
    ...(conditions.length === 0 ? {} : { conditions }),
  };
}

function failureConditions(
  conditions: readonly ReplicaSetCondition[],
  failure: { readonly reason: string; readonly message: string } | undefined,
  now: number,
): ReplicaSetCondition[] {
  const others = conditions.filter((condition) => condition.type !== "ReplicaFailure");
  if (failure === undefined) return others;
  const old = conditions.find((condition) => condition.type === "ReplicaFailure");
  if (old?.reason === failure.reason) return [...conditions];
  return [
    ...others,
    { type: "ReplicaFailure", status: "True", lastTransitionTime: wireTime(now), ...failure },
  ];
}

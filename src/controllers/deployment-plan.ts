/** One pass over a Deployment: what is there -> what to do. Pure. */
import type { DeploymentCondition, DeploymentStatus } from "kubernetes-types/apps/v1.js";
import { findNewSet, revisionOf, sizeAnnotations } from "./deployment-revisions.ts";
import {
  emptyOldSets,
  isScaling,
  newSetSize,
  oldPodsRun,
  scaleSets,
  shrinkOldSets,
  type Sizes,
  sizeOf,
} from "./deployment-sizes.ts";
import {
  countStatus,
  deadlineOf,
  isComplete,
  rolloutStatus,
  untilDeadline,
  withCondition,
} from "./deployment-status.ts";
import {
  annotationsOf,
  type Deployment,
  isDeleting,
  nameOf,
  type Pod,
  type ReplicaSet,
  sameJson,
} from "./objects.ts";
import { ensureNewSet } from "./new-replicaset.ts";
import { rollingLimits } from "./rolling-limits.ts";

export interface DeploymentState {
  readonly deployment: Deployment;
  /** The ReplicaSets that it controls. */
  readonly sets: readonly ReplicaSet[];
  /** Pods of those ReplicaSets, ending ones included. */
  readonly pods: readonly Pod[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export interface DeploymentPlan {
  readonly create: ReplicaSet | undefined;
  /** ReplicaSets as they are to be: size or annotations changed. */
  readonly update: readonly ReplicaSet[];
  /** Revisions beyond revisionHistoryLimit. */
  readonly remove: readonly ReplicaSet[];
  /** The revision that the Deployment's annotation is to name; undefined to leave it. */
  readonly revision: number | undefined;
  readonly status: DeploymentStatus;
  /** Milliseconds after which to look again, for the progress deadline. */
  readonly again: number | undefined;
}

export function planDeployment(state: DeploymentState): DeploymentPlan {
  const { deployment, sets, now } = state;
  const newSet = findNewSet(deployment, sets);
  const oldSets = sets.filter((set) => set !== newSet);
  const conditions = pauseConditions(deployment, now);
  if (isDeleting(deployment)) return finish(state, newSet, conditions, countStatus, {});
  if (deployment.spec?.paused === true || isScaling(deployment, sets)) {
    const sizes = scaleSets(deployment, newSet, oldSets);
    const remove = deployment.spec?.paused === true ? surplusSets(deployment, oldSets) : [];
    return finish(state, newSet, conditions, countStatus, { sizes, remove });
  }
  const rollout = deployment.spec?.strategy?.type === "Recreate" ? recreate : roll;
  return rollout(state, newSet, oldSets, conditions);
}

type Conditions = readonly DeploymentCondition[];

function roll(
  state: DeploymentState,
  found: ReplicaSet | undefined,
  oldSets: readonly ReplicaSet[],
  base: Conditions,
) {
  const { newSet, conditions } = ensureNewSet(state.deployment, found, oldSets, base, state.now);
  const size = newSetSize(state.deployment, sizeOf(newSet), oldSets);
  const sizes =
    size === sizeOf(newSet)
      ? shrinkOldSets(state.deployment, newSet, oldSets)
      : new Map([[nameOf(newSet), size]]);
  return withNewSet(state, found, newSet, oldSets, conditions, sizes);
}

function recreate(
  state: DeploymentState,
  found: ReplicaSet | undefined,
  oldSets: readonly ReplicaSet[],
  base: Conditions,
) {
  const empty = emptyOldSets(oldSets);
  const newUid = found?.metadata?.uid;
  const oldPods = state.pods.filter(
    (pod) => !pod.metadata?.ownerReferences?.some(({ uid }) => uid === newUid),
  );
  if (empty.size > 0 || oldPodsRun(oldSets, oldPods)) {
    return finish(state, found, base, rolloutStatus, { sizes: empty });
  }
  const { newSet, conditions } = ensureNewSet(state.deployment, found, oldSets, base, state.now);
  const wanted = state.deployment.spec?.replicas ?? 1;
  return withNewSet(state, found, newSet, oldSets, conditions, new Map([[nameOf(newSet), wanted]]));
}

/** The plan once there is a new ReplicaSet: its own change, the sizes, and the clean-up when all is done. */
function withNewSet(
  state: DeploymentState,
  found: ReplicaSet | undefined,
  newSet: ReplicaSet,
  oldSets: readonly ReplicaSet[],
  conditions: Conditions,
  sizes: Sizes,
): DeploymentPlan {
  const { deployment } = state;
  const done = isComplete(deployment, deployment.status ?? {});
  const revision = revisionOf(newSet);
  return {
    ...finish(state, newSet, conditions, rolloutStatus, {
      sizes,
      remove: done ? surplusSets(deployment, oldSets) : [],
    }),
    ...(found === undefined ? { create: newSet } : {}),
    revision: revisionOf(deployment) === revision ? undefined : revision,
  };
}

interface Changes {
  readonly sizes?: Sizes;
  readonly remove?: readonly ReplicaSet[];
}

function finish(
  state: DeploymentState,
  newSet: ReplicaSet | undefined,
  conditions: Conditions,
  statusOf: typeof countStatus,
  { sizes = new Map(), remove = [] }: Changes,
): DeploymentPlan {
  const { deployment, now } = state;
  const held = new Map(state.sets.map((set) => [nameOf(set), set]));
  const current = state.sets.map((set) =>
    newSet !== undefined && nameOf(set) === nameOf(newSet) ? newSet : set,
  );
  const sets = newSet === undefined || held.has(nameOf(newSet)) ? current : [...current, newSet];
  const update = current
    .map((set) => (sizes.has(nameOf(set)) ? resized(deployment, set, sizes.get(nameOf(set)) ?? 0) : set))
    .filter((set) => !sameJson(set, held.get(nameOf(set))));
  const status = statusOf({ deployment, newSet, sets, conditions, now });
  return {
    create: undefined,
    update,
    remove,
    revision: undefined,
    status,
    again: isComplete(deployment, status)
      ? undefined
      : untilDeadline(deployment, status.conditions ?? [], now) || undefined,
  };
}

function resized(deployment: Deployment, set: ReplicaSet, replicas: number): ReplicaSet {
  const annotations = {
    ...annotationsOf(set),
    ...sizeAnnotations(deployment.spec?.replicas ?? 1, rollingLimits(deployment).maxSurge),
  };
  return {
    ...set,
    metadata: { ...set.metadata, annotations },
    spec: { ...set.spec, replicas },
  } as ReplicaSet;
}

/** Progressing says when a Deployment is paused, and that it goes on. */
function pauseConditions(deployment: Deployment, now: number): Conditions {
  const conditions = deployment.status?.conditions ?? [];
  const current = conditions.find((condition) => condition.type === "Progressing");
  if (deadlineOf(deployment) === undefined || current?.reason === "ProgressDeadlineExceeded")
    return conditions;
  const paused = deployment.spec?.paused === true;
  if (paused === (current?.reason === "DeploymentPaused")) return conditions;
  return withCondition(
    conditions,
    "Progressing",
    paused
      ? ["Unknown", "DeploymentPaused", "Deployment is paused"]
      : ["Unknown", "DeploymentResumed", "Deployment is resumed"],
    now,
  );
}

/** Old ReplicaSets without pods beyond revisionHistoryLimit, the oldest revisions. */
function surplusSets(deployment: Deployment, oldSets: readonly ReplicaSet[]): readonly ReplicaSet[] {
  const limit = deployment.spec?.revisionHistoryLimit;
  const alive = oldSets.filter((set) => !isDeleting(set));
  if (limit === undefined || alive.length <= limit) return [];
  return alive
    .toSorted((a, b) => revisionOf(a) - revisionOf(b))
    .slice(0, alive.length - limit)
    .filter(
      (set) =>
        sizeOf(set) === 0 &&
        (set.status?.replicas ?? 0) === 0 &&
        (set.metadata?.generation ?? 0) <= (set.status?.observedGeneration ?? 0),
    );
}

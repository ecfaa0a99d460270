/**
 * How many pods each ReplicaSet of a Deployment is to have next. Pure; the arithmetic is that of Kubernetes'
 * documented rolling update, recreate and proportional scaling.
 */
import { desiredReplicas, maxReplicas } from "./deployment-revisions.ts";
import { byAge, type Deployment, nameOf, type Pod, type ReplicaSet } from "./objects.ts";
import { rollingLimits } from "./rolling-limits.ts";

/** New sizes by the name of the ReplicaSet; those not named stay as they are. */
export type Sizes = ReadonlyMap<string, number>;

export function sizeOf(set: ReplicaSet): number {
  return set.spec?.replicas ?? 1;
}

function availableIn(set: ReplicaSet): number {
  return set.status?.availableReplicas ?? 0;
}

function sum(sets: readonly ReplicaSet[], count: (set: ReplicaSet) => number): number {
  return sets.reduce((total, set) => total + count(set), 0);
}

const none: Sizes = new Map();

function wantedBy(deployment: Deployment): number {
  return deployment.spec?.replicas ?? 1;
}

/** Size of the new ReplicaSet: as large as the surge allows beside the old ones. */
export function newSetSize(deployment: Deployment, newSize: number, oldSets: readonly ReplicaSet[]): number {
  const wanted = wantedBy(deployment);
  if (deployment.spec?.strategy?.type === "Recreate" || newSize >= wanted) return wanted;
  const room = wanted + rollingLimits(deployment).maxSurge - newSize - sum(oldSets, sizeOf);
  return newSize + Math.max(0, Math.min(room, wanted - newSize));
}

/**
 * How far the old ReplicaSets shrink now: first by pods that are not available anyway, then by as many
 * available ones as maxUnavailable allows, oldest ReplicaSet first.
 */
export function shrinkOldSets(
  deployment: Deployment,
  newSet: ReplicaSet,
  oldSets: readonly ReplicaSet[],
): Sizes {
  const wanted = wantedBy(deployment);
  const minAvailable = wanted - rollingLimits(deployment).maxUnavailable;
  const all = sum(oldSets, sizeOf) + sizeOf(newSet);
  const newUnavailable = sizeOf(newSet) - availableIn(newSet);
  let room = all - minAvailable - newUnavailable;
  if (sum(oldSets, sizeOf) === 0 || room <= 0) return none;
  const sizes = new Map<string, number>();
  const sizeNow = (set: ReplicaSet): number => sizes.get(nameOf(set)) ?? sizeOf(set);
  for (const set of oldSets.toSorted(byAge)) {
    const fewer = Math.min(room, Math.max(0, sizeOf(set) - availableIn(set)));
    if (fewer === 0) continue;
    sizes.set(nameOf(set), sizeOf(set) - fewer);
    room -= fewer;
  }
  let surplus = sum([...oldSets, newSet], availableIn) - minAvailable;
  for (const set of oldSets.toSorted(byAge)) {
    const fewer = Math.min(sizeNow(set), Math.max(0, surplus));
    if (fewer === 0) continue;
    sizes.set(nameOf(set), sizeNow(set) - fewer);
    surplus -= fewer;
  }
  return sizes;
}

/** Recreate: every old ReplicaSet goes to 0. */
export function emptyOldSets(oldSets: readonly ReplicaSet[]): Sizes {
  return new Map(oldSets.filter((set) => sizeOf(set) > 0).map((set) => [nameOf(set), 0]));
}

/** Recreate: whether pods of the old ReplicaSets still run, those that are ending included. */
export function oldPodsRun(oldSets: readonly ReplicaSet[], oldPods: readonly Pod[]): boolean {
  return (
    oldSets.some((set) => (set.status?.replicas ?? 0) > 0) ||
    oldPods.some((pod) => pod.status?.phase !== "Failed" && pod.status?.phase !== "Succeeded")
  );
}

/** Whether spec.replicas changed since a ReplicaSet in use was last sized. */
export function isScaling(deployment: Deployment, sets: readonly ReplicaSet[]): boolean {
  const wanted = wantedBy(deployment);
  return sets.some((set) => {
    const desired = desiredReplicas(set);
    return sizeOf(set) > 0 && desired !== undefined && desired !== wanted;
  });
}

/** Sizes after a change of spec.replicas, without any progress of a rollout: shared out in proportion. */
export function scaleSets(
  deployment: Deployment,
  newSet: ReplicaSet | undefined,
  oldSets: readonly ReplicaSet[],
): Sizes {
  const wanted = wantedBy(deployment);
  const all = newSet === undefined ? oldSets : [...oldSets, newSet];
  const active = all.filter((set) => sizeOf(set) > 0);
  const only = active.length > 1 ? undefined : (active[0] ?? newSet ?? oldSets.toSorted(byAge).at(-1));
  if (active.length <= 1) return only === undefined ? none : new Map([[nameOf(only), wanted]]);
  if (newSet !== undefined && isSaturated(newSet, wanted)) return emptyOldSets(oldSets);
  if (deployment.spec?.strategy?.type === "Recreate") return none;
  return proportionalSizes(deployment, active);
}

function isSaturated(set: ReplicaSet, wanted: number): boolean {
  return sizeOf(set) === wanted && desiredReplicas(set) === wanted && availableIn(set) === wanted;
}

function proportionalSizes(deployment: Deployment, active: readonly ReplicaSet[]): Sizes {
  const wanted = wantedBy(deployment);
  const allowed = wanted > 0 ? wanted + rollingLimits(deployment).maxSurge : 0;
  const change = allowed - sum(active, sizeOf);
  // The largest first; of equal ones the newest grows and the oldest shrinks first.
  const age = change > 0 ? -1 : 1;
  const order = active.toSorted((a, b) => sizeOf(b) - sizeOf(a) || age * byAge(a, b));
  let left = change;
  const sizes = order.map((set) => {
    const share = change === 0 ? 0 : bounded(fairShare(deployment, set, allowed), left);
    left -= share;
    return { name: nameOf(set), size: sizeOf(set) + share };
  });
  return new Map(sizes.map(({ name, size }, index) => [name, Math.max(0, index === 0 ? size + left : size)]));
}

/** The part of the change that falls to one ReplicaSet, rounded. */
function fairShare(deployment: Deployment, set: ReplicaSet, allowed: number): number {
  if (wantedBy(deployment) === 0) return -sizeOf(set);
  const before = maxReplicas(set) ?? deployment.status?.replicas ?? 0;
  return before === 0 ? 0 : Math.round((sizeOf(set) * allowed) / before) - sizeOf(set);
}

/** Not past what is left to share out, whichever way it goes. */
function bounded(share: number, left: number): number {
  return left > 0 ? Math.min(share, left) : Math.max(share, left);
}

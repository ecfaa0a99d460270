/** What a Deployment's status says. Pure; reasons and messages are Kubernetes' own. */
import type { DeploymentCondition, DeploymentStatus } from "kubernetes-types/apps/v1.js";
import { sizeOf } from "./deployment-sizes.ts";
import { conditionOf, type Deployment, nameOf, type ReplicaSet, wireTime } from "./objects.ts";
import { rollingLimits } from "./rolling-limits.ts";

type Conditions = readonly DeploymentCondition[];

export interface StatusInput {
  readonly deployment: Deployment;
  readonly newSet: ReplicaSet | undefined;
  /** All ReplicaSets, the new one included. */
  readonly sets: readonly ReplicaSet[];
  /** status.conditions, with what the pass so far has changed. */
  readonly conditions: Conditions;
  readonly now: number;
}

/** progressDeadlineSeconds of this value means: none. */
const noDeadline = 2 ** 31 - 1;

export function deadlineOf(deployment: Deployment): number | undefined {
  const seconds = deployment.spec?.progressDeadlineSeconds;
  return seconds === undefined || seconds === noDeadline ? undefined : seconds;
}

/** Sets a condition; nothing changes if status and reason are the same. */
export function withCondition(
  conditions: Conditions,
  type: string,
  [status, reason, message]: readonly [status: "True" | "False" | "Unknown", reason: string, message: string],
  now: number,
): Conditions {
  const old = conditions.find((condition) => condition.type === type);
  if (old?.status === status && old.reason === reason) return conditions;
  const time = wireTime(now);
  return [
    ...conditions.filter((condition) => condition.type !== type),
    {
      type,
      status,
      lastUpdateTime: time,
      lastTransitionTime: old?.status === status ? (old.lastTransitionTime ?? time) : time,
      reason,
      message,
    },
  ];
}

/** Counts and the condition Available. */
export function countStatus({ deployment, newSet, sets, conditions, now }: StatusInput): DeploymentStatus {
  const total = (count: (set: ReplicaSet) => number): number =>
    sets.reduce((all, set) => all + count(set), 0);
  const available = total((set) => set.status?.availableReplicas ?? 0);
  const enough = (deployment.spec?.replicas ?? 1) - rollingLimits(deployment).maxUnavailable;
  const collisionCount = deployment.status?.collisionCount;
  return {
    observedGeneration: deployment.metadata?.generation ?? 0,
    ...nonZero({
      replicas: total((set) => set.status?.replicas ?? 0),
      updatedReplicas: newSet?.status?.replicas ?? 0,
      readyReplicas: total((set) => set.status?.readyReplicas ?? 0),
      availableReplicas: available,
      unavailableReplicas: Math.max(0, total(sizeOf) - available),
    }),
    ...(collisionCount === undefined ? {} : { collisionCount }),
    conditions: [
      ...withCondition(
        conditions,
        "Available",
        available >= enough
          ? ["True", "MinimumReplicasAvailable", "Deployment has minimum availability."]
          : ["False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."],
        now,
      ),
    ],
  };
}

/** Kubernetes leaves counts of 0 out. */
function nonZero(counts: Readonly<Record<string, number>>): Partial<DeploymentStatus> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
}

/** The status of a Deployment in a rollout: counts, Available, Progressing, ReplicaFailure. */
export function rolloutStatus(input: StatusInput): DeploymentStatus {
  const status = countStatus(input);
  let conditions: Conditions = status.conditions ?? [];
  if (deadlineOf(input.deployment) === undefined) {
    conditions = conditions.filter((condition) => condition.type !== "Progressing");
  } else {
    conditions = withProgress(input, status, conditions);
  }
  return { ...status, conditions: [...withFailure(input, conditions)] };
}

function withProgress(input: StatusInput, status: DeploymentStatus, conditions: Conditions): Conditions {
  const { deployment, newSet, now } = input;
  const current = conditions.find((condition) => condition.type === "Progressing");
  const wasComplete = current?.reason === "NewReplicaSetAvailable";
  if (wasComplete && (status.replicas ?? 0) === (status.updatedReplicas ?? 0)) return conditions;
  const what = newSet === undefined ? `Deployment "${nameOf(deployment)}"` : `ReplicaSet "${nameOf(newSet)}"`;
  if (isComplete(deployment, status)) {
    const condition = ["True", "NewReplicaSetAvailable", `${what} has successfully progressed.`] as const;
    return withCondition(conditions, "Progressing", condition, now);
  }
  if (hasProgressed(deployment.status ?? {}, status)) {
    // Set anew each time, since its lastUpdateTime is what the deadline counts from.
    const kept = conditions.filter((condition) => condition.type !== "Progressing");
    const since = current?.status === "True" ? current.lastTransitionTime : undefined;
    const next = withCondition(
      kept,
      "Progressing",
      ["True", "ReplicaSetUpdated", `${what} is progressing.`],
      now,
    );
    return since === undefined
      ? next
      : next.map((condition) =>
          condition.type === "Progressing" ? { ...condition, lastTransitionTime: since } : condition,
        );
  }
  if (untilDeadline(deployment, conditions, now) === 0) {
    const condition = ["False", "ProgressDeadlineExceeded", `${what} has timed out progressing.`] as const;
    return withCondition(conditions, "Progressing", condition, now);
  }
  return conditions;
}

/** All pods are new, all of them are available, and no old one is left. */
export function isComplete(deployment: Deployment, status: DeploymentStatus): boolean {
  const wanted = deployment.spec?.replicas ?? 1;
  return (
    (status.updatedReplicas ?? 0) === wanted &&
    (status.replicas ?? 0) === wanted &&
    (status.availableReplicas ?? 0) === wanted &&
    (status.observedGeneration ?? 0) >= (deployment.metadata?.generation ?? 0)
  );
}

function hasProgressed(old: DeploymentStatus, status: DeploymentStatus): boolean {
  return (
    (status.updatedReplicas ?? 0) > (old.updatedReplicas ?? 0) ||
    oldPods(status) < oldPods(old) ||
    (status.readyReplicas ?? 0) > (old.readyReplicas ?? 0) ||
    (status.availableReplicas ?? 0) > (old.availableReplicas ?? 0)
  );
}

/** Pods that are not of the new ReplicaSet. */
function oldPods({ replicas = 0, updatedReplicas = 0 }: DeploymentStatus): number {
  return replicas - updatedReplicas;
}

/** Milliseconds until the rollout counts as stuck; undefined if no rollout is under way. */
export function untilDeadline(
  deployment: Deployment,
  conditions: Conditions,
  now: number,
): number | undefined {
  const deadline = deadlineOf(deployment);
  const current = conditions.find((condition) => condition.type === "Progressing");
  if (deadline === undefined || current === undefined || current.reason === "NewReplicaSetAvailable")
    return undefined;
  if (current.reason === "ProgressDeadlineExceeded") return 0;
  const since = Date.parse(current.lastUpdateTime ?? "");
  return Number.isNaN(since) ? undefined : Math.max(0, since + deadline * 1000 - now);
}

/** A ReplicaSet that cannot make its pods shows on the Deployment, the new one's trouble first. */
function withFailure({ newSet, sets, now }: StatusInput, conditions: Conditions): Conditions {
  const failing = [...(newSet === undefined ? [] : [newSet]), ...sets]
    .map((set) => conditionOf(set, "ReplicaFailure"))
    .find((condition) => condition?.status === "True");
  if (failing === undefined) return conditions.filter((condition) => condition.type !== "ReplicaFailure");
  const { reason = "", message = "" } = failing;
  return withCondition(conditions, "ReplicaFailure", ["True", reason, message], now);
}

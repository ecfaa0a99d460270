import type { Deployment } from "./objects.ts";

/** How far a rolling update may go from the wanted number of pods. */
export interface RollingLimits {
  /** Pods above spec.replicas. */
  readonly maxSurge: number;
  /** Pods below spec.replicas that may be missing; never more than spec.replicas. */
  readonly maxUnavailable: number;
}

/**
 * The limits of a Deployment as numbers of pods. Percentages of spec.replicas: the surge is rounded up, the
 * unavailable share down; if both come out as 0, one pod may be unavailable, else nothing could move.
 */
export function rollingLimits(deployment: Deployment): RollingLimits {
  const { replicas = 1, strategy } = deployment.spec ?? {};
  if (strategy?.type === "Recreate") return { maxSurge: 0, maxUnavailable: 0 };
  const maxSurge = resolve(strategy?.rollingUpdate?.maxSurge ?? "25%", replicas, Math.ceil);
  const share = resolve(strategy?.rollingUpdate?.maxUnavailable ?? "25%", replicas, Math.floor);
  const maxUnavailable = maxSurge === 0 && share === 0 ? 1 : share;
  return { maxSurge, maxUnavailable: Math.min(maxUnavailable, replicas) };
}

function resolve(value: number | string, total: number, round: (value: number) => number): number {
  if (typeof value === "number") return value;
  const percent = /^(\d+)%$/.exec(value)?.[1];
  // Hundredths are exact in integers; a product with 0.01 would round 7% of 100 up to 8.
  return percent === undefined ? 0 : round((Number(percent) * total) / 100);
}

/** Whether a node lives. Pure. */
import type { NodeCondition, Taint } from "kubernetes-types/core/v1.js";
import { conditionOf, type Node, wireTime } from "./objects.ts";

export interface NodePlan {
  /** The condition Ready as it is to be; undefined to leave it. */
  readonly ready: NodeCondition | undefined;
  /** spec.taints as they are to be; undefined to leave them. */
  readonly taints: readonly Taint[] | undefined;
  /** Nothing is known of the node any more: its pods must get no traffic. */
  readonly lost: boolean;
  /** Milliseconds until the last sign of life is too old; undefined if it is. */
  readonly again: number | undefined;
}

const notReady = "node.kubernetes.io/not-ready";
const unreachable = "node.kubernetes.io/unreachable";

/**
 * @param seen when the last sign of life was seen, by our clock; clocks of nodes are never compared
 * @param grace milliseconds that a sign of life counts
 * @param alive whether there was ever a sign of life
 */
export function planNode(node: Node, seen: number, alive: boolean, grace: number, now: number): NodePlan {
  const current = conditionOf(node, "Ready");
  const fresh = now - seen < grace;
  const ready = fresh ? revived(current, alive, now) : declaredLost(current, now);
  const status = (ready ?? current)?.status;
  // A node that has said nothing yet keeps the taint that it was admitted with.
  const taints = status === undefined ? undefined : taintsFor(node.spec?.taints ?? [], status, now);
  return {
    ready,
    taints,
    lost: !fresh,
    again: fresh ? seen + grace - now : undefined,
  };
}

/** Signs of life again, or for the first time: the node's own word counts, unless there is none. */
function revived(current: NodeCondition | undefined, alive: boolean, now: number): NodeCondition | undefined {
  if (!alive || (current !== undefined && current.status !== "Unknown")) return undefined;
  return condition("True", "KubeletReady", "the node agent renews its lease", now);
}

function declaredLost(current: NodeCondition | undefined, now: number): NodeCondition | undefined {
  if (current === undefined) {
    return condition("Unknown", "NodeStatusNeverUpdated", "Kubelet never posted node status.", now);
  }
  if (current.status === "Unknown") return undefined;
  return {
    ...current,
    ...condition("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.", now),
    ...(current.lastHeartbeatTime === undefined ? {} : { lastHeartbeatTime: current.lastHeartbeatTime }),
  };
}

function condition(status: string, reason: string, message: string, now: number): NodeCondition {
  const time = wireTime(now);
  return { type: "Ready", status, reason, message, lastHeartbeatTime: time, lastTransitionTime: time };
}

/** Keeps new pods away from a node that is not ready; undefined if the taints are right. */
function taintsFor(taints: readonly Taint[], ready: string, now: number): readonly Taint[] | undefined {
  const key = ready === "True" ? undefined : ready === "False" ? notReady : unreachable;
  const others = taints.filter((taint) => taint.key !== notReady && taint.key !== unreachable);
  const own = taints.filter((taint) => taint.key === key);
  const wanted = key === undefined ? [] : (["NoSchedule", "NoExecute"] as const);
  const missing = wanted.filter((effect) => !own.some((taint) => taint.effect === effect));
  if (missing.length === 0 && others.length + own.length === taints.length) return undefined;
  const added = missing.map((effect) => ({
    key: key ?? "",
    effect,
    ...(effect === "NoExecute" ? { timeAdded: wireTime(now) } : {}),
  }));
  return [...others, ...own, ...added];
}

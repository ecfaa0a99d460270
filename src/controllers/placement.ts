/** Which node a pod goes to. Pure. */
import type { NodeSelectorTerm, Taint, Toleration } from "kubernetes-types/core/v1.js";
import {
  conditionOf,
  controllerOf,
  isActive,
  labelsOf,
  nameOf,
  namespaceOf,
  type Node,
  type Pod,
  byText,
} from "./objects.ts";

export type Placement =
  | { readonly node: string }
  /** No node fits. The message counts the reasons, as `kubectl describe pod` shows them. */
  | { readonly node?: undefined; readonly message: string };

/**
 * The node for a pod: of the nodes that it may run on, the one with the fewest pods of the same controller, then
 * with the fewest pods of the same namespace, then the first by name. Requests of CPU and memory do not count.
 * @param pods all pods of the cluster
 */
export function placePod(pod: Pod, nodes: readonly Node[], pods: readonly Pod[]): Placement {
  const refusals = nodes.map((node) => ({ node, reason: refusal(pod, node, pods) }));
  const fitting = refusals.filter(({ reason }) => reason === undefined).map(({ node }) => node);
  if (fitting.length === 0) return { message: refusalMessage(refusals.map(({ reason }) => reason ?? "")) };
  const load = loads(pod, pods);
  const [best] = fitting.toSorted(
    (a, b) =>
      avoidance(pod, a) - avoidance(pod, b) ||
      load(nameOf(a)).siblings - load(nameOf(b)).siblings ||
      load(nameOf(a)).neighbours - load(nameOf(b)).neighbours ||
      byText(nameOf(a), nameOf(b)),
  );
  return { node: best === undefined ? "" : nameOf(best) };
}

/** How many active pods of the same controller and of the same namespace each node has. */
function loads(pod: Pod, pods: readonly Pod[]) {
  const owner = controllerOf(pod)?.uid;
  const nodes = new Map<string, { siblings: number; neighbours: number }>();
  const load = (node: string) => nodes.get(node) ?? { siblings: 0, neighbours: 0 };
  for (const other of pods) {
    const node = other.spec?.nodeName;
    if (!node || !isActive(other) || namespaceOf(other) !== namespaceOf(pod)) continue;
    const sibling = owner !== undefined && controllerOf(other)?.uid === owner;
    const { siblings, neighbours } = load(node);
    nodes.set(node, { siblings: siblings + (sibling ? 1 : 0), neighbours: neighbours + 1 });
  }
  return load;
}

/** Why a pod may not run on a node, in the words of Kubernetes' scheduler; undefined if it may. */
function refusal(pod: Pod, node: Node, pods: readonly Pod[]): string | undefined {
  if (node.spec?.unschedulable === true && !toleratesUnschedulable(pod)) return "node(s) were unschedulable";
  const taint = (node.spec?.taints ?? []).find(
    (one) => (one.effect === "NoSchedule" || one.effect === "NoExecute") && !tolerated(pod, one),
  );
  if (taint !== undefined) return `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ""}}`;
  if (conditionOf(node, "Ready")?.status !== "True") return "node(s) were not ready";
  if (!selects(pod, node)) return "node(s) didn't match Pod's node affinity/selector";
  if (hostPortTaken(pod, node, pods)) return "node(s) didn't have free ports for the requested pod ports";
  return undefined;
}

function refusalMessage(reasons: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const parts = [...counts].map(([reason, count]) => `${count} ${reason}`).toSorted();
  const list = parts.length === 0 ? "no nodes available to schedule pods" : parts.join(", ");
  return parts.length === 0 ? list : `0/${reasons.length} nodes are available: ${list}.`;
}

/** Whether any toleration of the pod covers a taint. */
export function tolerated(pod: Pod, taint: Taint): boolean {
  return (pod.spec?.tolerations ?? []).some((toleration) => tolerates(toleration, taint));
}

/** Whether a toleration covers a taint (core/v1 Toleration). */
export function tolerates({ key, operator = "Equal", value, effect }: Toleration, taint: Taint): boolean {
  if (effect && effect !== taint.effect) return false;
  if (!key) return operator === "Exists";
  return key === taint.key && (operator === "Exists" || (value ?? "") === (taint.value ?? ""));
}

function toleratesUnschedulable(pod: Pod): boolean {
  return tolerated(pod, { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" });
}

/** Taints that would rather not have the pod. */
function avoidance(pod: Pod, node: Node): number {
  return (node.spec?.taints ?? []).filter(
    (taint) => taint.effect === "PreferNoSchedule" && !tolerated(pod, taint),
  ).length;
}

/** Whether the pod's node selector and required node affinity accept the node. */
export function selects(pod: Pod, node: Node): boolean {
  const labels = labelsOf(node);
  const wanted = Object.entries(pod.spec?.nodeSelector ?? {});
  const terms =
    pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return (
    wanted.every(([name, value]) => labels[name] === value) &&
    (terms === undefined || terms.some((term) => termMatches(term, node)))
  );
}

function termMatches({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm, node: Node): boolean {
  if (matchExpressions.length + matchFields.length === 0) return false;
  return (
    matchExpressions.every(({ key, operator, values }) =>
      holds(labelsOf(node)[key], operator, values ?? []),
    ) &&
    matchFields.every(({ key, operator, values }) =>
      holds(key === "metadata.name" ? nameOf(node) : undefined, operator, values ?? []),
    )
  );
}

/** One requirement of a node selector (core/v1 NodeSelectorRequirement). */
function holds(value: string | undefined, operator: string, values: readonly string[]): boolean {
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
      return value !== undefined && Number(value) > Number(values[0]);
    case "Lt":
      return value !== undefined && Number(value) < Number(values[0]);
    default:
      return false;
  }
}

function hostPorts(pod: Pod): string[] {
  return (pod.spec?.containers ?? [])
    .flatMap(({ ports = [] }) => ports)
    .flatMap(({ hostPort, protocol = "TCP" }) => (hostPort ? [`${protocol}/${hostPort}`] : []));
}

function hostPortTaken(pod: Pod, node: Node, pods: readonly Pod[]): boolean {
  const wanted = hostPorts(pod);
  if (wanted.length === 0) return false;
  return pods.some(
    (other) =>
      other.spec?.nodeName === nameOf(node) &&
      isActive(other) &&
      hostPorts(other).some((port) => wanted.includes(port)),
  );
}

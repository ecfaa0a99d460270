/** The taint eviction controller: pods leave nodes with a NoExecute taint that they do not, or no longer, tolerate. */
import type { Taint, Toleration } from "kubernetes-types/core/v1.js";
import { type Controller, objectKey } from "#client";
import { type Context, createWriter, recorderFor, startLoop } from "./context.ts";
import { tolerates } from "./placement.ts";
import { isActive, kind, nameOf, type Node, type Pod, sameJson, splitKey, subjectOf } from "./objects.ts";

const podKind = kind("v1", "Pod");

/**
 * Pure: milliseconds until the pod must leave a node with these taints; 0 for now, undefined for never. Of
 * several tolerations for one taint the shortest counts.
 */
export function untilEviction(pod: Pod, taints: readonly Taint[], now: number): number | undefined {
  const times = taints
    .filter(({ effect }) => effect === "NoExecute")
    .map((taint) => untilIntolerable(pod.spec?.tolerations ?? [], taint, now));
  const earliest = Math.min(...times);
  return Number.isFinite(earliest) ? earliest : undefined;
}

function untilIntolerable(tolerations: readonly Toleration[], taint: Taint, now: number): number {
  const matching = tolerations.filter((toleration) => tolerates(toleration, taint));
  if (matching.length === 0) return 0;
  const seconds = Math.min(...matching.map(({ tolerationSeconds }) => tolerationSeconds ?? Infinity));
  const since = Date.parse(taint.timeAdded ?? "");
  return Math.max(0, (Number.isNaN(since) ? now : since) + seconds * 1000 - now);
}

export function startTaintEviction(context: Context): Controller {
  const pods = context.informers.of<Pod>(podKind);
  const nodes = context.informers.of<Node>(kind("v1", "Node"));
  const writer = createWriter(context.client);
  const recorder = recorderFor(context, "taint-eviction-controller");

  const reconcile = async (key: string): Promise<number | void> => {
    const { namespace, name } = splitKey(key);
    const pod = pods.get(namespace, name);
    const taints = nodes.get(undefined, pod?.spec?.nodeName ?? "")?.spec?.taints ?? [];
    if (pod === undefined || !isActive(pod)) return;
    const wait = untilEviction(pod, taints, context.clock.now());
    if (wait !== 0) return wait;
    recorder.event(
      subjectOf(podKind, pod),
      "Normal",
      "TaintManagerEviction",
      `Marking for deletion Pod ${key}`,
    );
    await writer.delete(pods, pod);
  };
  const loop = startLoop(context, { name: "taint-eviction", informers: [pods, nodes], reconcile });
  pods.onChange((type, pod, old) => {
    const placed = type === "ADDED" || old?.spec?.nodeName !== pod.spec?.nodeName;
    if (placed && pod.spec?.nodeName && isEvicting(nodes.get(undefined, pod.spec.nodeName)))
      loop.enqueue(objectKey(pod));
  });
  nodes.onChange((_type, node, old) => {
    if (!isEvicting(node) || sameJson(node.spec?.taints, old?.spec?.taints)) return;
    for (const pod of pods.indexed("node", nameOf(node))) loop.enqueue(objectKey(pod));
  });
  return loop;
}

function isEvicting(node: Node | undefined): boolean {
  return (node?.spec?.taints ?? []).some(({ effect }) => effect === "NoExecute");
}

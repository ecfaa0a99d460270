/** The scheduler: pods without a node -> pods with one. */
import type { KubeObject } from "#kube";
import { type Controller, objectKey } from "#client";
import { type Context, createWriter, recorderFor, startLoop } from "./context.ts";
import {
  conditionOf,
  isActive,
  kind,
  nameOf,
  namespaceOf,
  type Node,
  type Pod,
  sameJson,
  splitKey,
  subjectOf,
  wireTime,
} from "./objects.ts";
import { placePod } from "./placement.ts";

const podKind = kind("v1", "Pod");

/** Pods that name another scheduler are left to it. */
function isPending(pod: Pod): boolean {
  const { nodeName, schedulerName = "default-scheduler", schedulingGates = [] } = pod.spec ?? {};
  return !nodeName && isActive(pod) && schedulerName === "default-scheduler" && schedulingGates.length === 0;
}

export function startScheduler(context: Context): Controller {
  const pods = context.informers.of<Pod>(podKind);
  const nodes = context.informers.of<Node>(kind("v1", "Node"));
  const writer = createWriter(context.client);
  const recorder = recorderFor(context, "default-scheduler");

  const bind = async (pod: Pod, node: string): Promise<void> => {
    const bound = await bindPod(context, pod, node);
    if (bound !== undefined) pods.absorb(bound);
    const message = `Successfully assigned ${namespaceOf(pod)}/${nameOf(pod)} to ${node}`;
    recorder.event(subjectOf(podKind, pod), "Normal", "Scheduled", message);
  };
  const refuse = async (pod: Pod, message: string): Promise<void> => {
    const old = conditionOf(pod, "PodScheduled");
    const wanted = { type: "PodScheduled", status: "False", reason: "Unschedulable", message };
    const { lastTransitionTime: _time, lastProbeTime: _probe, ...current } = old ?? { type: "" };
    if (sameJson(current, wanted)) return;
    recorder.event(subjectOf(podKind, pod), "Warning", "FailedScheduling", message);
    const conditions = [
      ...(pod.status?.conditions ?? []).filter(({ type }) => type !== "PodScheduled"),
      { ...wanted, lastTransitionTime: wireTime(context.clock.now()) },
    ];
    await writer.patch(pods, pod, { status: { conditions } }, "status");
  };
  const reconcile = async (key: string): Promise<void> => {
    const { namespace, name } = splitKey(key);
    const pod = pods.get(namespace, name);
    if (pod === undefined || !isPending(pod)) return;
    const placement = placePod(pod, nodes.list(), pods.list());
    if (placement.node === undefined) await refuse(pod, placement.message);
    else await bind(pod, placement.node);
  };

  // One worker: each decision counts the pods that the one before has placed.
  const loop = startLoop(context, { name: "scheduler", informers: [pods, nodes], reconcile });
  const retryPending = (): void => {
    for (const pod of pods.list()) if (isPending(pod)) loop.enqueue(objectKey(pod));
  };
  pods.onChange((type, pod) => {
    // A pod that leaves its node may make room there (host ports).
    if (type !== "DELETED" && isPending(pod)) loop.enqueue(objectKey(pod));
    else if (pod.spec?.nodeName && (type === "DELETED" || !isActive(pod))) retryPending();
  });
  nodes.onChange((_type, node, old) => {
    if (old === undefined || !sameJson(schedulingFacts(node), schedulingFacts(old))) retryPending();
  });
  return loop;
}

/** What decides about placement; a heartbeat changes none of it. */
function schedulingFacts(node: Node): unknown {
  return [node.metadata?.labels, node.spec, conditionOf(node, "Ready")?.status];
}

/** Binds by the subresource `binding`; nothing else may set spec.nodeName. Returns the pod as it is then. */
async function bindPod({ client }: Context, pod: Pod, node: string): Promise<Pod | undefined> {
  const { name, namespace, uid } = pod.metadata ?? {};
  const binding = {
    apiVersion: "v1",
    kind: "Binding",
    metadata: { name, namespace, uid },
    target: { apiVersion: "v1", kind: "Node", name: node },
  };
  await client.create(podKind, binding as KubeObject, "binding");
  return client.get<Pod>(podKind, nameOf(pod), namespaceOf(pod));
}

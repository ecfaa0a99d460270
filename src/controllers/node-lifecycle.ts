/** The node lifecycle controller: signs of life -> Ready, taints, and the readiness of pods on lost nodes. */
import type { Lease as LeaseWire } from "kubernetes-types/coordination/v1.js";
import type { KubeObject } from "#kube";
import type { Controller } from "#client";
import { type Context, createWriter, recorderFor, startLoop } from "./context.ts";
import { planNode } from "./node-plan.ts";
import {
  conditionOf,
  isServing,
  isTerminal,
  kind,
  nameOf,
  type Node,
  type Pod,
  subjectOf,
  uidOf,
  wireTime,
} from "./objects.ts";

type Lease = LeaseWire & KubeObject;

const nodeKind = kind("v1", "Node");
const leaseNamespace = "kube-node-lease";

/** @param grace milliseconds without a renewed Lease or heartbeat after which a node counts as lost */
export function startNodeLifecycle(context: Context, grace: number): Controller {
  const { clock } = context;
  const nodes = context.informers.of<Node>(nodeKind);
  const pods = context.informers.of<Pod>(kind("v1", "Pod"));
  const leases = context.informers.of<Lease>(kind("coordination.k8s.io/v1", "Lease"), {
    namespace: leaseNamespace,
  });
  const writer = createWriter(context.client);
  const recorder = recorderFor(context, "node-controller");
  /** By UID of the node: the last sign of life, and when we saw it. */
  const signs = new Map<string, { sign: string; seen: number }>();

  const lastSign = (node: Node): { sign: string; seen: number } => {
    const sign = signOf(leases.get(leaseNamespace, nameOf(node)), node);
    const known = signs.get(uidOf(node));
    if (known?.sign === sign) return known;
    const current = { sign, seen: clock.now() };
    signs.set(uidOf(node), current);
    return current;
  };
  const reconcile = async (name: string): Promise<number | void> => {
    const node = nodes.get(undefined, name);
    if (node === undefined) return;
    const { sign, seen } = lastSign(node);
    const plan = planNode(node, seen, sign !== "", grace, clock.now());
    let current = node;
    if (plan.ready !== undefined) {
      const conditions = [
        ...(node.status?.conditions ?? []).filter(({ type }) => type !== "Ready"),
        plan.ready,
      ];
      current = await writer.patch(nodes, current, { status: { conditions } }, "status");
      // Our own words are no sign of life.
      signs.set(uidOf(node), { sign: signOf(leases.get(leaseNamespace, name), current), seen });
      const reason = plan.ready.status === "True" ? "NodeReady" : "NodeNotReady";
      recorder.event(subjectOf(nodeKind, node), "Normal", reason, `Node ${name} status is now: ${reason}`);
    }
    if (plan.taints !== undefined) {
      const taints = plan.taints.length === 0 ? null : plan.taints;
      await writer.patch(nodes, current, { spec: { taints } });
    }
    if (plan.lost) await unreadyPods(name);
    return plan.again;
  };
  const unreadyPods = async (node: string): Promise<void> => {
    for (const pod of pods.indexed("node", node)) {
      if (!isServing(pod) || isTerminal(pod)) continue;
      const lost = {
        type: "Ready",
        status: "False",
        reason: "NodeNotReady",
        message: `node ${node} gives no sign of life`,
        lastTransitionTime: wireTime(clock.now()),
      };
      const conditions = [...(pod.status?.conditions ?? []).filter(({ type }) => type !== "Ready"), lost];
      await writer.patch(pods, pod, { status: { conditions } }, "status");
    }
  };

  const loop = startLoop(context, {
    name: "node-lifecycle",
    informers: [nodes, pods, leases],
    reconcile,
    workers: 4,
  });
  nodes.onChange((type, node) => {
    if (type === "DELETED") signs.delete(uidOf(node));
    loop.enqueue(nameOf(node));
  });
  leases.onChange((_type, lease) => loop.enqueue(nameOf(lease)));
  pods.onChange((type, pod) => {
    const node = pod.spec?.nodeName;
    if (type !== "DELETED" && node && isServing(pod) && !isTerminal(pod)) {
      // A pod that turns ready on a lost node, by news that came late.
      const lost = conditionOf(nodes.get(undefined, node) ?? {}, "Ready")?.status === "Unknown";
      if (lost) loop.enqueue(node);
    }
  });
  return loop;
}

/** What changes with every sign of life; empty if there never was one. */
function signOf(lease: Lease | undefined, node: Node): string {
  return [lease?.spec?.renewTime, conditionOf(node, "Ready")?.lastHeartbeatTime].filter(Boolean).join(" ");
}

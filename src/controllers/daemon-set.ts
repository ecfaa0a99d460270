/** The daemonset controller: DaemonSets and nodes -> one pod on each node. */
import { messageOf } from "#lib/errors";
import { type Controller, objectKey } from "#client";
import { claim } from "./claims.ts";
import { type Context, createWriter, recorderFor, startLoop } from "./context.ts";
import {
  hashOf,
  planRevisions,
  type Revision,
  revisionLabel,
  surplusRevisions,
} from "./controller-revisions.ts";
import { daemonPod } from "./daemon-pod.ts";
import { daemonSetStatus, planDaemonSet } from "./daemon-set-plan.ts";
import {
  controllerOf,
  type DaemonSet,
  kind,
  labelsOf,
  nameOf,
  namespaceOf,
  type Node,
  type Pod,
  sameJson,
  splitKey,
  subjectOf,
  uidOf,
} from "./objects.ts";

const setKind = kind("apps/v1", "DaemonSet");

export function startDaemonSets(context: Context): Controller {
  const sets = context.informers.of<DaemonSet>(setKind);
  const pods = context.informers.of<Pod>(kind("v1", "Pod"));
  const nodes = context.informers.of<Node>(kind("v1", "Node"));
  const revisions = context.informers.of<Revision>(kind("apps/v1", "ControllerRevision"));
  const writer = createWriter(context.client);
  const recorder = recorderFor(context, "daemonset-controller");

  const tell = (set: DaemonSet, type: "Normal" | "Warning", reason: string, message: string): void =>
    recorder.event(subjectOf(setKind, set), type, reason, message);
  const createPod = async (set: DaemonSet, node: string, hash: string): Promise<void> => {
    try {
      const pod = await writer.create(pods, daemonPod(set, node, hash));
      tell(set, "Normal", "SuccessfulCreate", `Created pod: ${nameOf(pod)}`);
    } catch (error) {
      tell(set, "Warning", "FailedCreate", `Error creating: ${messageOf(error)}`);
      throw error;
    }
  };
  const removePod = async (set: DaemonSet, pod: Pod): Promise<void> => {
    await writer.delete(pods, pod);
    tell(set, "Normal", "SuccessfulDelete", `Deleted pod: ${nameOf(pod)}`);
  };
  const currentRevision = async (set: DaemonSet, owned: readonly Pod[]): Promise<string> => {
    const held = await claim(writer, revisions, setKind, set, set.spec?.selector);
    const { update: planned, write } = planRevisions(setKind, set, held);
    const update = write === undefined ? planned : await writer[write](revisions, planned);
    const used = new Set([hashOf(update), ...owned.map((pod) => labelsOf(pod)[revisionLabel] ?? "")]);
    for (const one of surplusRevisions(set, held, (revision) => used.has(hashOf(revision)))) {
      await writer.delete(revisions, one);
    }
    return hashOf(update);
  };
  const reconcile = async (key: string): Promise<number | void> => {
    const { namespace, name } = splitKey(key);
    const set = sets.get(namespace, name);
    if (set === undefined) return;
    const owned = await claim(writer, pods, setKind, set, set.spec?.selector);
    const hash = await currentRevision(set, owned);
    const input = { set, nodes: nodes.list(), hash, now: context.clock.now() };
    const plan = planDaemonSet({ ...input, pods: owned });
    try {
      for (const node of plan.create) await createPod(set, node, hash);
      for (const pod of plan.remove) await removePod(set, pod);
    } finally {
      const status = daemonSetStatus({ ...input, pods: pods.indexed("owner", uidOf(set)) });
      const { collisionCount, conditions } = set.status ?? {};
      const whole = {
        ...status,
        ...(collisionCount && { collisionCount }),
        ...(conditions && { conditions }),
      };
      if (!sameJson(set.status ?? {}, whole)) await writer.updateStatus(sets, { ...set, status: whole });
    }
    return plan.again;
  };

  const informers = [sets, pods, nodes, revisions];
  const loop = startLoop(context, { name: "daemonset", informers, reconcile, workers: 2 });
  sets.onChange((_type, set) => loop.enqueue(objectKey(set)));
  for (const informer of [pods, revisions]) {
    informer.onChange((_type, object) => {
      const owner = controllerOf(object);
      if (owner?.kind === "DaemonSet") loop.enqueue(`${namespaceOf(object)}/${owner.name}`);
    });
  }
  nodes.onChange((type, node, old) => {
    const facts = (one: Node | undefined) => one && [labelsOf(one), one.spec?.taints ?? []];
    if (type === "MODIFIED" && sameJson(facts(node), facts(old))) return;
    for (const set of sets.list()) loop.enqueue(objectKey(set));
  });
  return loop;
}

/** The statefulset controller: StatefulSets -> pods with names of their own, and claims. */
import { codeOf, messageOf } from "#lib/errors";
import { type Controller, objectKey } from "#client";
import { claim } from "./claims.ts";
import { type Context, createWriter, recorderFor, startLoop } from "./context.ts";
import {
  planRevisions,
  type Revision,
  revisionLabel,
  surplusRevisions,
  templateOf,
} from "./controller-revisions.ts";
import {
  controllerOf,
  kind,
  labelsOf,
  nameOf,
  namespaceOf,
  type Pod,
  sameJson,
  splitKey,
  type StatefulSet,
  subjectOf,
  uidOf,
} from "./objects.ts";
import { claimsOf, statefulPod } from "./stateful-set-pod.ts";
import { ordinalOf, planStatefulSet, statefulSetStatus } from "./stateful-set-plan.ts";

const setKind = kind("apps/v1", "StatefulSet");

export function startStatefulSets(context: Context): Controller {
  const sets = context.informers.of<StatefulSet>(setKind);
  const pods = context.informers.of<Pod>(kind("v1", "Pod"));
  const revisions = context.informers.of<Revision>(kind("apps/v1", "ControllerRevision"));
  const claims = context.informers.of(kind("v1", "PersistentVolumeClaim"));
  const writer = createWriter(context.client);
  const recorder = recorderFor(context, "statefulset-controller");

  const tell = (set: StatefulSet, type: "Normal" | "Warning", reason: string, message: string): void =>
    recorder.event(subjectOf(setKind, set), type, reason, message);
  const createPod = async (set: StatefulSet, ordinal: number, revision: Revision): Promise<void> => {
    const name = `${nameOf(set)}-${ordinal}`;
    try {
      for (const wanted of claimsOf(set, ordinal)) {
        if (claims.get(namespaceOf(set), nameOf(wanted)) === undefined) await writer.create(claims, wanted);
      }
      await writer.create(pods, statefulPod(set, templateOf(revision) ?? {}, ordinal, nameOf(revision)));
      tell(set, "Normal", "SuccessfulCreate", `create Pod ${name} in StatefulSet ${nameOf(set)} successful`);
    } catch (error) {
      const why = `create Pod ${name} in StatefulSet ${nameOf(set)} failed error: ${messageOf(error)}`;
      if (codeOf(error) !== "NotFound") tell(set, "Warning", "FailedCreate", why);
      throw error;
    }
  };
  const removePod = async (set: StatefulSet, pod: Pod): Promise<void> => {
    await writer.delete(pods, pod);
    const message = `delete Pod ${nameOf(pod)} in StatefulSet ${nameOf(set)} successful`;
    tell(set, "Normal", "SuccessfulDelete", message);
  };
  const currentRevisions = async (set: StatefulSet) => {
    const held = await claim(writer, revisions, setKind, set, set.spec?.selector);
    const { update: planned, write } = planRevisions(setKind, set, held);
    const update = write === undefined ? planned : await writer[write](revisions, planned);
    const current = held.find((one) => nameOf(one) === set.status?.currentRevision) ?? update;
    return { held, current, update };
  };
  const prune = async (
    set: StatefulSet,
    held: readonly Revision[],
    owned: readonly Pod[],
    keep: readonly string[],
  ) => {
    const used = new Set([...keep, ...owned.map((pod) => labelsOf(pod)[revisionLabel] ?? "")]);
    for (const one of surplusRevisions(set, held, (revision) => used.has(nameOf(revision)))) {
      await writer.delete(revisions, one);
    }
  };
  const reconcile = async (key: string): Promise<number | void> => {
    const { namespace, name } = splitKey(key);
    const set = sets.get(namespace, name);
    if (set === undefined) return;
    const isMember = (pod: Pod): boolean => ordinalOf(set, pod) >= 0;
    const owned = await claim(writer, pods, setKind, set, set.spec?.selector, isMember);
    const { held, current, update } = await currentRevisions(set);
    const names = { current: nameOf(current), update: nameOf(update) };
    const now = context.clock.now();
    const plan = planStatefulSet({ set, pods: owned, ...names, now });
    const write = async (): Promise<void> => {
      const after = pods.indexed("owner", uidOf(set));
      const status = statefulSetStatus({ set, pods: after, ...names, now });
      if (!sameJson(set.status ?? {}, status)) await writer.updateStatus(sets, { ...set, status });
    };
    try {
      for (const { ordinal, revision } of plan.create) {
        await createPod(set, ordinal, revision === names.update ? update : current);
      }
      for (const pod of plan.remove) await removePod(set, pod);
    } finally {
      await write();
    }
    await prune(set, held, owned, [names.current, names.update]);
    return plan.again;
  };

  const informers = [sets, pods, revisions, claims];
  const loop = startLoop(context, { name: "statefulset", informers, reconcile, workers: 4 });
  sets.onChange((_type, set) => loop.enqueue(objectKey(set)));
  for (const informer of [pods, revisions]) {
    informer.onChange((_type, object) => {
      const owner = controllerOf(object);
      if (owner?.kind === "StatefulSet") loop.enqueue(`${namespaceOf(object)}/${owner.name}`);
    });
  }
  return loop;
}

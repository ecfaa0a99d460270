/** The replicaset controller: ReplicaSets -> pods. */
import { labelSelectorMatches } from "#kube";
import { messageOf } from "#lib/errors";
import type { Controller } from "#client";
import { claim } from "./claims.ts";
import { type Context, createWriter, inNamespace, recorderFor, startLoop } from "./context.ts";
import {
  controllerOf,
  controllerReference,
  kind,
  labelsOf,
  nameOf,
  namespaceOf,
  type Pod,
  type ReplicaSet,
  sameJson,
  splitKey,
  subjectOf,
  uidOf,
} from "./objects.ts";
import { planReplicaSet, replicaSetStatus } from "./replicaset-plan.ts";

const setKind = kind("apps/v1", "ReplicaSet");

interface Failure {
  readonly reason: "FailedCreate" | "FailedDelete";
  readonly message: string;
}

export function startReplicaSets(context: Context): Controller {
  const sets = context.informers.of<ReplicaSet>(setKind);
  const pods = context.informers.of<Pod>(kind("v1", "Pod"));
  const writer = createWriter(context.client);
  const recorder = recorderFor(context, "replicaset-controller");

  const create = (set: ReplicaSet, count: number): Promise<Failure | undefined> =>
    inGrowingBatches(count, async () => {
      const pod = await writer.create(pods, podFor(set));
      recorder.event(subjectOf(setKind, set), "Normal", "SuccessfulCreate", `Created pod: ${nameOf(pod)}`);
    }).catch((error: unknown) => {
      recorder.event(
        subjectOf(setKind, set),
        "Warning",
        "FailedCreate",
        `Error creating: ${messageOf(error)}`,
      );
      return { reason: "FailedCreate", message: messageOf(error) };
    });
  const remove = async (set: ReplicaSet, surplus: readonly Pod[]): Promise<Failure | undefined> => {
    try {
      for (const pod of surplus) {
        await writer.delete(pods, pod);
        recorder.event(subjectOf(setKind, set), "Normal", "SuccessfulDelete", `Deleted pod: ${nameOf(pod)}`);
      }
      return undefined;
    } catch (error) {
      recorder.event(
        subjectOf(setKind, set),
        "Warning",
        "FailedDelete",
        `Error deleting: ${messageOf(error)}`,
      );
      return { reason: "FailedDelete", message: messageOf(error) };
    }
  };
  /** Active pods of all ReplicaSets with the same owner, this one's included. */
  const relatedPods = (set: ReplicaSet): readonly Pod[] => {
    const owner = controllerOf(set);
    const related = owner === undefined ? [set] : sets.indexed("owner", owner.uid);
    return related.flatMap((one) => pods.indexed("owner", uidOf(one)));
  };
  const reconcile = async (key: string): Promise<number | void> => {
    const { namespace, name } = splitKey(key);
    const set = sets.get(namespace, name);
    if (set === undefined) return;
    const owned = await claim(writer, pods, setKind, set, set.spec?.selector);
    const now = context.clock.now();
    const plan = planReplicaSet(set, owned, relatedPods(set), now);
    const failure = (await create(set, plan.create)) ?? (await remove(set, plan.remove));
    const after = pods.indexed("owner", uidOf(set));
    const status = replicaSetStatus(set, after, failure, now);
    if (!sameJson(set.status ?? {}, status)) await writer.updateStatus(sets, { ...set, status });
    if (failure !== undefined) throw new Error(failure.message);
    return plan.again;
  };

  const loop = startLoop(context, { name: "replicaset", informers: [sets, pods], reconcile, workers: 4 });
  sets.onChange((_type, set) => loop.enqueue(`${namespaceOf(set)}/${nameOf(set)}`));
  const enqueueOwner = (pod: Pod): void => {
    const owner = controllerOf(pod);
    if (owner?.kind === "ReplicaSet") loop.enqueue(`${namespaceOf(pod)}/${owner.name}`);
    if (owner !== undefined) return;
    for (const set of inNamespace(sets, namespaceOf(pod))) {
      const selector = set.spec?.selector;
      if (selector === undefined || !labelSelectorMatches(selector, labelsOf(pod))) continue;
      loop.enqueue(`${namespaceOf(set)}/${nameOf(set)}`);
    }
  };
  pods.onChange((_type, pod, old) => {
    enqueueOwner(pod);
    if (old !== undefined && controllerOf(old)?.uid !== controllerOf(pod)?.uid) enqueueOwner(old);
  });
  return loop;
}

function podFor(set: ReplicaSet) {
  const { metadata = {}, spec } = set.spec?.template ?? {};
  return {
    metadata: {
      generateName: `${nameOf(set)}-`,
      namespace: namespaceOf(set),
      ...(metadata.labels === undefined ? {} : { labels: metadata.labels }),
      ...(metadata.annotations === undefined ? {} : { annotations: metadata.annotations }),
      ...(metadata.finalizers === undefined ? {} : { finalizers: metadata.finalizers }),
      ownerReferences: [controllerReference(setKind, set)],
    },
    spec,
  };
}

/** Runs `task` `count` times: 1, then 2, 4 ... at a time, so that a refusal costs few attempts. Throws the first failure. */
async function inGrowingBatches(count: number, task: () => Promise<void>): Promise<undefined> {
  for (let done = 0, size = 1; done < count; size *= 2) {
    const batch = Math.min(size, count - done);
    await Promise.all(Array.from({ length: batch }, task));
    done += batch;
  }
  return undefined;
}

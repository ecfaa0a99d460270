/** One pass over a StatefulSet: which pods to make and which to delete. Pure; the rules of Kubernetes' StatefulSet controller. */
import type { StatefulSetStatus } from "kubernetes-types/apps/v1.js";
import { revisionLabel } from "./controller-revisions.ts";
import {
  isDeleting,
  isReady,
  isTerminal,
  labelsOf,
  nameOf,
  type Pod,
  type StatefulSet,
  untilAvailable,
} from "./objects.ts";

export interface StatefulSetInput {
  readonly set: StatefulSet;
  /** The pods that it controls. */
  readonly pods: readonly Pod[];
  /** Names of the revisions that pods below the partition, and all others, are to have. */
  readonly current: string;
  readonly update: string;
  readonly now: number;
}

export interface StatefulSetPlan {
  readonly create: readonly { readonly ordinal: number; readonly revision: string }[];
  readonly remove: readonly Pod[];
  /** Milliseconds until a pod becomes available by minReadySeconds alone. */
  readonly again: number | undefined;
}

/** `db-3` of StatefulSet `db` is 3; -1 for a name of another form. */
export function ordinalOf(set: StatefulSet, pod: Pod): number {
  const prefix = `${nameOf(set)}-`;
  const rest = nameOf(pod).startsWith(prefix) ? nameOf(pod).slice(prefix.length) : "";
  return /^(?:0|[1-9]\d{0,8})$/.test(rest) ? Number(rest) : -1;
}

/**
 * Policy OrderedReady makes one pod after the other, each when all before it are available, and takes them away in the
 * opposite order; Parallel does not wait. Changed pods are replaced one at a time, highest first, down to the partition.
 */
export function planStatefulSet(input: StatefulSetInput): StatefulSetPlan {
  const { set, pods, now } = input;
  const waits = pods.map((pod) => untilAvailable(pod, set.spec?.minReadySeconds ?? 0, now) ?? 0);
  const waiting = waits.filter((wait) => wait > 0);
  const again = waiting.length === 0 ? undefined : Math.min(...waiting);
  if (isDeleting(set)) return { create: [], remove: [], again: undefined };
  return { ...step(input), again };
}

type Step = Pick<StatefulSetPlan, "create" | "remove">;
const nothing: Step = { create: [], remove: [] };

function step(input: StatefulSetInput): Step {
  const { set, pods } = input;
  const wanted = ordinals(set);
  const byOrdinal = new Map<number, Pod>(pods.map((pod) => [ordinalOf(set, pod), pod]));
  const surplus = pods
    .filter((pod) => !wanted.includes(ordinalOf(set, pod)))
    .toSorted((a, b) => ordinalOf(set, b) - ordinalOf(set, a));
  const moves =
    set.spec?.podManagementPolicy === "Parallel"
      ? allAtOnce(input, wanted, byOrdinal, surplus)
      : oneByOne(input, wanted, byOrdinal, surplus);
  return moves ?? { create: [], remove: outdated(input, wanted, byOrdinal) };
}

function ordinals({ spec }: StatefulSet): number[] {
  const start = spec?.ordinals?.start ?? 0;
  return Array.from({ length: spec?.replicas ?? 1 }, (_, index) => start + index);
}

/** The first thing to do or to wait for, from the lowest pod up, then from the highest surplus one down; undefined if all is well. */
function oneByOne(
  input: StatefulSetInput,
  wanted: readonly number[],
  pods: ReadonlyMap<number, Pod>,
  surplus: readonly Pod[],
): Step | undefined {
  for (const ordinal of wanted) {
    const pod = pods.get(ordinal);
    if (pod === undefined) return { create: [missing(input, ordinal)], remove: [] };
    if (isTerminal(pod) && !isDeleting(pod)) return { create: [], remove: [pod] };
    if (isDeleting(pod) || !isAvailable(input, pod)) return nothing;
  }
  const [last] = surplus;
  if (last === undefined) return undefined;
  return surplus.some(isDeleting) ? nothing : { create: [], remove: [last] };
}

function allAtOnce(
  input: StatefulSetInput,
  wanted: readonly number[],
  pods: ReadonlyMap<number, Pod>,
  surplus: readonly Pod[],
): Step | undefined {
  const absent = wanted.filter((ordinal) => pods.get(ordinal) === undefined);
  const ended = [...pods].flatMap(([ordinal, pod]) =>
    wanted.includes(ordinal) && isTerminal(pod) ? [pod] : [],
  );
  const remove = [...ended, ...surplus].filter((pod) => !isDeleting(pod));
  if (absent.length + remove.length === 0) return undefined;
  return { create: absent.map((ordinal) => missing(input, ordinal)), remove };
}

const isAvailable = ({ set, now }: StatefulSetInput, pod: Pod): boolean =>
  untilAvailable(pod, set.spec?.minReadySeconds ?? 0, now) === 0;

/** The highest pod of a former revision, if those above it are ready. */
function outdated(
  input: StatefulSetInput,
  wanted: readonly number[],
  pods: ReadonlyMap<number, Pod>,
): readonly Pod[] {
  if (input.set.spec?.updateStrategy?.type === "OnDelete") return [];
  for (const ordinal of wanted.toReversed()) {
    const pod = pods.get(ordinal);
    if (pod === undefined || revisionFor(input, ordinal) !== input.update) return [];
    if (revisionOf(pod) !== input.update && !isDeleting(pod)) return [pod];
    if (isDeleting(pod) || !isAvailable(input, pod)) return [];
  }
  return [];
}

const missing = (input: StatefulSetInput, ordinal: number): { ordinal: number; revision: string } => ({
  ordinal,
  revision: revisionFor(input, ordinal),
});

/** Pods below the partition keep the former template. */
function revisionFor({ set, current, update }: StatefulSetInput, ordinal: number): string {
  const { type, rollingUpdate } = set.spec?.updateStrategy ?? {};
  if (type === "OnDelete") return update;
  const first = (set.spec?.ordinals?.start ?? 0) + (rollingUpdate?.partition ?? 0);
  return ordinal < first ? current : update;
}

const revisionOf = (pod: Pod): string => labelsOf(pod)[revisionLabel] ?? "";

/** The status after a pass; an update is complete when every pod has the new revision and is ready. */
export function statefulSetStatus(input: StatefulSetInput): StatefulSetStatus {
  const { set, pods, current, update } = input;
  const wanted = ordinals(set);
  const staying = pods.filter((pod) => !isDeleting(pod));
  const ready = pods.filter(isReady).length;
  const available = pods.filter((pod) => isAvailable(input, pod)).length;
  const updated = staying.filter((pod) => revisionOf(pod) === update).length;
  const rolling = set.spec?.updateStrategy?.type !== "OnDelete";
  const complete = rolling && [pods.length, ready, updated].every((count) => count === wanted.length);
  const held = complete ? update : current;
  const ofCurrent = staying.filter((pod) => revisionOf(pod) === held).length;
  return {
    observedGeneration: set.metadata?.generation ?? 0,
    replicas: pods.length,
    ...(ready === 0 ? {} : { readyReplicas: ready }),
    ...(ofCurrent === 0 ? {} : { currentReplicas: ofCurrent }),
    ...(updated === 0 ? {} : { updatedReplicas: updated }),
    currentRevision: held,
    updateRevision: update,
    collisionCount: set.status?.collisionCount ?? 0,
    availableReplicas: available,
  };
}

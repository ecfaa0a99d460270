/** One pass over a DaemonSet: which nodes get a pod and which pods go. Pure; the rules of Kubernetes' DaemonSet controller. */
import type { DaemonSetStatus } from "kubernetes-types/apps/v1.js";
import { revisionLabel } from "./controller-revisions.ts";
import { fits, nodeOfDaemon } from "./daemon-pod.ts";
import {
  byAge,
  type DaemonSet,
  isDeleting,
  isReady,
  isTerminal,
  labelsOf,
  nameOf,
  type Node,
  type Pod,
  untilAvailable,
} from "./objects.ts";

export interface DaemonSetInput {
  readonly set: DaemonSet;
  /** The pods that it controls. */
  readonly pods: readonly Pod[];
  readonly nodes: readonly Node[];
  /** Hash of the revision that pods are to have. */
  readonly hash: string;
  readonly now: number;
}

export interface DaemonSetPlan {
  /** Names of nodes. */
  readonly create: readonly string[];
  readonly remove: readonly Pod[];
  /** Milliseconds until a pod becomes available by minReadySeconds alone. */
  readonly again: number | undefined;
}

/** A node that is to have a pod, and those that it has: neither ended nor ending. */
interface Place {
  readonly node: string;
  readonly current: readonly Pod[];
  readonly former: readonly Pod[];
}

export function planDaemonSet(input: DaemonSetInput): DaemonSetPlan {
  const { set, pods, now } = input;
  if (isDeleting(set)) return { create: [], remove: [], again: undefined };
  const places = placesOf(input);
  const ended = pods.filter((pod) => isTerminal(pod) && !isDeleting(pod));
  const free = places.filter(
    ({ node, current, former }) => current.length + former.length === 0 && !isBusy(input, node),
  );
  const update = set.spec?.updateStrategy?.type === "OnDelete" ? none : rollingUpdate(input, places);
  const doubles = places.flatMap(({ current, former }) => [...current.slice(1), ...former.slice(1)]);
  const waits = pods.map((pod) => untilAvailable(pod, minReady(set), now) ?? 0).filter((wait) => wait > 0);
  return {
    create: [...free.map(({ node }) => node), ...update.create],
    remove: [...new Set([...ended, ...strays(input), ...doubles, ...update.remove])],
    again: waits.length === 0 ? undefined : Math.min(...waits),
  };
}

const none = { create: [] as readonly string[], remove: [] as readonly Pod[] };
const minReady = ({ spec }: DaemonSet): number => spec?.minReadySeconds ?? 0;
const isActive = (pod: Pod): boolean => !isDeleting(pod) && !isTerminal(pod);

/** A pod of the set still ends on this node: the next one waits for it, as both may want the same port. */
function isBusy({ pods }: DaemonSetInput, node: string): boolean {
  return pods.some((pod) => !isActive(pod) && nodeOfDaemon(pod) === node);
}

function placesOf({ set, pods, nodes, hash }: DaemonSetInput): Place[] {
  const active = pods.filter(isActive).toSorted(byAge);
  return nodes
    .filter((node) => fits(set, node).runs)
    .map((node) => {
      const own = active.filter((pod) => nodeOfDaemon(pod) === nameOf(node));
      const isCurrent = (pod: Pod): boolean => labelsOf(pod)[revisionLabel] === hash;
      return {
        node: nameOf(node),
        current: own.filter(isCurrent),
        former: own.filter((pod) => !isCurrent(pod)),
      };
    });
}

/** Pods on nodes that they may not stay on. */
function strays({ set, pods, nodes }: DaemonSetInput): Pod[] {
  const stay = new Set(nodes.filter((node) => fits(set, node).stays).map(nameOf));
  return pods.filter((pod) => isActive(pod) && !stay.has(nodeOfDaemon(pod) ?? ""));
}

/**
 * With maxSurge a new pod comes beside the former one, which goes when the new one is available; else former pods go first,
 * unavailable ones at once and others as long as no more than maxUnavailable nodes are without an available pod.
 */
function rollingUpdate(input: DaemonSetInput, places: readonly Place[]): typeof none {
  const { set, now } = input;
  const available = (pod: Pod | undefined): boolean =>
    pod !== undefined && untilAvailable(pod, minReady(set), now) === 0;
  const { maxSurge = 0, maxUnavailable = 1 } = set.spec?.updateStrategy?.rollingUpdate ?? {};
  const surge = share(maxSurge, places.length);
  const outdated = places.filter(({ former }) => former.length > 0);
  if (surge > 0) {
    const surging = outdated.filter(({ current }) => current.length > 0);
    const waiting = outdated.filter(({ current }) => current.length === 0);
    return {
      create: waiting.slice(0, Math.max(0, surge - surging.length)).map(({ node }) => node),
      remove: surging.filter(({ current }) => available(current[0])).flatMap(({ former }) => former),
    };
  }
  const isServed = ({ current, former }: Place): boolean => [...current, ...former].some(available);
  const unserved = places.filter((place) => !isServed(place)).length;
  const broken = outdated.filter((place) => !isServed(place));
  const sound = outdated
    .filter(isServed)
    .slice(0, Math.max(0, share(maxUnavailable, places.length) - unserved));
  return { create: [], remove: [...broken, ...sound].flatMap(({ former }) => former) };
}

/** A count, or a percentage of the nodes, rounded up. */
function share(value: number | string, total: number): number {
  return typeof value === "number" ? value : Math.ceil((Number.parseInt(value, 10) * total) / 100);
}

export function daemonSetStatus(input: DaemonSetInput): DaemonSetStatus {
  const { set, pods, nodes, now } = input;
  const places = placesOf(input);
  const served = places.filter(({ current, former }) => current.length + former.length > 0);
  const best = places.flatMap(({ current, former }) => [...current, ...former].filter(isReady).slice(0, 1));
  const available = best.filter((pod) => untilAvailable(pod, minReady(set), now) === 0).length;
  const runs = new Set(nodes.filter((node) => fits(set, node).runs).map(nameOf));
  const misplaced = new Set(
    pods.filter((pod) => isActive(pod) && !runs.has(nodeOfDaemon(pod) ?? "")).map((pod) => nodeOfDaemon(pod)),
  );
  const optional = {
    updatedNumberScheduled: places.filter(({ current }) => current.length > 0).length,
    numberAvailable: available,
    numberUnavailable: places.length - available,
  };
  return {
    currentNumberScheduled: served.length,
    numberMisscheduled: misplaced.size,
    desiredNumberScheduled: places.length,
    numberReady: best.length,
    observedGeneration: set.metadata?.generation ?? 0,
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== 0)),
  };
}

/** Which ReplicaSet is which revision of a Deployment. Pure. */
import { annotationsOf, byAge, type Deployment, type ReplicaSet, sameJson } from "./objects.ts";

export const hashLabel = "pod-template-hash";

const prefix = "deployment.kubernetes.io";
export const revisionAnnotation = `${prefix}/revision`;
const historyAnnotation = `${prefix}/revision-history`;
const desiredAnnotation = `${prefix}/desired-replicas`;
const maxAnnotation = `${prefix}/max-replicas`;

/** Annotations of a Deployment that its ReplicaSets do not inherit. */
const notInherited = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  "deprecated.deployment.rollback.to",
  revisionAnnotation,
  historyAnnotation,
  desiredAnnotation,
  maxAnnotation,
]);

/** The oldest ReplicaSet that has the Deployment's pod template, the hash label aside. */
export function findNewSet(deployment: Deployment, sets: readonly ReplicaSet[]): ReplicaSet | undefined {
  const template = deployment.spec?.template;
  return sets.toSorted(byAge).find((set) => sameJson(withoutHash(set.spec?.template), withoutHash(template)));
}

type Template = NonNullable<Deployment["spec"]>["template"];

function withoutHash(template: Template | undefined): unknown {
  const { [hashLabel]: _hash, ...labels } = template?.metadata?.labels ?? {};
  const { creationTimestamp: _time, ...metadata } = template?.metadata ?? {};
  return { spec: template?.spec, metadata: { ...metadata, labels } };
}

/** The revision a ReplicaSet stands for; 0 if it carries none. */
export function revisionOf(object: ReplicaSet | Deployment): number {
  const revision = Number(annotationsOf(object)[revisionAnnotation] ?? 0);
  return Number.isSafeInteger(revision) ? revision : 0;
}

export function nextRevision(oldSets: readonly ReplicaSet[]): number {
  return Math.max(0, ...oldSets.map(revisionOf)) + 1;
}

/** Annotations of the new ReplicaSet: the Deployment's, and its own revision, which only ever grows. */
export function newSetAnnotations(
  deployment: Deployment,
  set: ReplicaSet | undefined,
  revision: number,
): Record<string, string> {
  const held = set === undefined ? {} : annotationsOf(set);
  const inherited = Object.entries(annotationsOf(deployment)).filter(([name]) => !notInherited.has(name));
  const old = set === undefined ? 0 : revisionOf(set);
  if (old >= revision) return { ...held, ...Object.fromEntries(inherited) };
  const history = [held[historyAnnotation], old > 0 ? String(old) : undefined].filter(
    (part) => part !== undefined,
  );
  return {
    ...held,
    ...Object.fromEntries(inherited),
    [revisionAnnotation]: String(revision),
    ...(old > 0 ? { [historyAnnotation]: history.join(",") } : {}),
  };
}

/** What a ReplicaSet is told of its Deployment's size, so that a later change of size can be shared out in proportion. */
export function sizeAnnotations(replicas: number, maxSurge: number): Record<string, string> {
  return { [desiredAnnotation]: String(replicas), [maxAnnotation]: String(replicas + maxSurge) };
}

/** spec.replicas of the Deployment when the ReplicaSet was last sized. */
export function desiredReplicas(set: ReplicaSet): number | undefined {
  return numberIn(annotationsOf(set)[desiredAnnotation]);
}

/** Largest number of pods of the Deployment when the ReplicaSet was last sized. */
export function maxReplicas(set: ReplicaSet): number | undefined {
  return numberIn(annotationsOf(set)[maxAnnotation]);
}

function numberIn(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

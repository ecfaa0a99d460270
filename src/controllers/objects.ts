/** Kubernetes objects as the controllers read them, and the questions that several controllers ask of them. */
import type {
  DaemonSet as DaemonSetWire,
  Deployment as DeploymentWire,
  ReplicaSet as ReplicaSetWire,
  StatefulSet as StatefulSetWire,
} from "kubernetes-types/apps/v1.js";
import type { Node as NodeWire, Pod as PodWire, Service as ServiceWire } from "kubernetes-types/core/v1.js";
import { kindOf, type KindInfo, type KubeObject, type OwnerReference } from "#kube";
import { apiVersionOf, type EventSubject } from "#client";

export type Deployment = DeploymentWire & KubeObject;
export type ReplicaSet = ReplicaSetWire & KubeObject;
export type StatefulSet = StatefulSetWire & KubeObject;
export type DaemonSet = DaemonSetWire & KubeObject;
export type Pod = PodWire & KubeObject;
export type Node = NodeWire & KubeObject;
export type Service = ServiceWire & KubeObject;

/** A kind of the registry that the controllers cannot do without. */
export function kind(apiVersion: string, name: string): KindInfo {
  const found = kindOf(apiVersion, name);
  if (found === undefined) throw new Error(`the registry has no ${apiVersion} ${name}`);
  return found;
}

export function nameOf(object: KubeObject): string {
  return object.metadata?.name ?? "";
}

export function namespaceOf(object: KubeObject): string {
  return object.metadata?.namespace ?? "";
}

export function uidOf(object: KubeObject): string {
  return object.metadata?.uid ?? "";
}

export function labelsOf(object: KubeObject): Readonly<Record<string, string>> {
  return object.metadata?.labels ?? {};
}

export function annotationsOf(object: KubeObject): Readonly<Record<string, string>> {
  return object.metadata?.annotations ?? {};
}

export function isDeleting(object: KubeObject): boolean {
  return object.metadata?.deletionTimestamp !== undefined;
}

/** The reference to the object's controller, if one controls it. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata?.ownerReferences?.find((owner) => owner.controller === true);
}

/** A reference that makes `owner` the controller of what carries it. */
export function controllerReference(info: KindInfo, owner: KubeObject): OwnerReference {
  return {
    apiVersion: apiVersionOf(info),
    kind: info.kind,
    name: nameOf(owner),
    uid: uidOf(owner),
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** The object as the subject of an event. */
export function subjectOf(info: KindInfo, object: KubeObject): EventSubject {
  const namespace = object.metadata?.namespace;
  return {
    apiVersion: apiVersionOf(info),
    kind: info.kind,
    name: nameOf(object),
    uid: uidOf(object),
    ...(namespace === undefined ? {} : { namespace }),
  };
}

/** Splits the key of a namespaced object. */
export function splitKey(key: string): { namespace: string; name: string } {
  const slash = key.indexOf("/");
  return { namespace: key.slice(0, Math.max(0, slash)), name: key.slice(slash + 1) };
}

/** A condition of a pod, a node or another object. */
export function conditionOf<C extends { type: string }>(
  object: { status?: { conditions?: C[] } },
  type: string,
): C | undefined {
  return object.status?.conditions?.find((condition) => condition.type === type);
}

export function isReady(pod: Pod): boolean {
  return conditionOf(pod, "Ready")?.status === "True";
}

/** The pod has ended and will not run again. */
export function isTerminal(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

/** The pod counts: it has not ended and is not to be deleted. */
export function isActive(pod: Pod): boolean {
  return !isTerminal(pod) && !isDeleting(pod);
}

/** Milliseconds until the pod has been ready for so many seconds: 0 if it has, undefined if it is not ready. */
export function untilAvailable(pod: Pod, minReadySeconds: number, now: number): number | undefined {
  if (!isReady(pod)) return undefined;
  if (minReadySeconds === 0) return 0;
  const since = Date.parse(conditionOf(pod, "Ready")?.lastTransitionTime ?? "");
  return Number.isNaN(since) ? undefined : Math.max(0, since + minReadySeconds * 1000 - now);
}

/** A time as Kubernetes writes it: whole seconds, UTC. */
export function wireTime(now: number): string {
  return new Date(now).toISOString().replace(/\.\d+Z$/, "Z");
}

/** Whether two JSON values are equal; absent and undefined properties are the same. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return (
      Array.isArray(a) &&
      Array.isArray(b) &&
      a.length === b.length &&
      a.every((value, index) => sameJson(value, b[index]))
    );
  }
  const left: Readonly<Record<string, unknown>> = { ...a };
  const right: Readonly<Record<string, unknown>> = { ...b };
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].every((key) =>
    sameJson(left[key], right[key]),
  );
}

/** Orders by code units: the same on every machine. */
export function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Older first, then by name. */
export function byAge(a: KubeObject, b: KubeObject): number {
  return (
    byText(a.metadata?.creationTimestamp ?? "", b.metadata?.creationTimestamp ?? "") ||
    byText(nameOf(a), nameOf(b))
  );
}

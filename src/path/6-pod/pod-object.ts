/** Pods as this hop reads them, and who a pod is. */
import type { KubeObject } from "#kube";
import type { Container, Pod, PodSpec } from "kubernetes-types/core/v1.js";

/** An API server validates what it stores, so its objects may be read under their kind's type. */
export const asPod = (object: KubeObject): Pod => object as unknown as Pod;

export interface PodId {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export function podId(object: KubeObject): PodId {
  const { namespace = "", name = "", uid = "" } = object.metadata ?? {};
  return { namespace, name, uid };
}

export function specOf(object: KubeObject): PodSpec {
  return asPod(object).spec ?? { containers: [] };
}

/** A sidecar is an init container that keeps running beside the ordinary ones (KEP-753). */
export function isSidecar(container: Container): boolean {
  return container.restartPolicy === "Always";
}

/** Containers that run for the life of the pod, sidecars first. */
export function longRunning(spec: PodSpec): Container[] {
  return [...(spec.initContainers ?? []).filter(isSidecar), ...spec.containers];
}

export interface Port {
  readonly port: number;
  readonly protocol: "TCP" | "UDP";
}

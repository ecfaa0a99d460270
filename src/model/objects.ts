/** The Kubernetes objects that `compile` reads, in their wire shape. */
import type { KubeObject } from "#kube";

export interface ClusterObjects {
  readonly nodes: readonly KubeObject[];
  readonly pods: readonly KubeObject[];
  readonly services: readonly KubeObject[];
  readonly endpointSlices: readonly KubeObject[];
  readonly ingresses: readonly KubeObject[];
  readonly ingressClasses: readonly KubeObject[];
  readonly secrets: readonly KubeObject[];
  readonly namespaces: readonly KubeObject[];
  /** Kind of Kubernetes 1.33 and later. */
  readonly serviceCIDRs?: readonly KubeObject[];
  readonly networkPolicies?: readonly KubeObject[];
}

export interface CompileOptions {
  /** Cluster domain, `cluster.local`. */
  readonly domain: string;
  /** `spec.controller` of the IngressClasses that are ours; `inroad.dev/ingress` if not given. */
  readonly controllerName?: string;
}

/** `namespace/name` of an object; the namespace defaults to `default`. */
export function keyOf(object: KubeObject): string {
  return `${namespaceOf(object)}/${nameOf(object)}`;
}

export function namespaceOf(object: KubeObject): string {
  return object.metadata?.namespace ?? "default";
}

export function nameOf(object: KubeObject): string {
  return object.metadata?.name ?? "";
}

/** Orders by code units, which is the same on every machine. */
export function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Older objects first, then by namespace and name: the order in which conflicts are decided. */
export function byAge(a: KubeObject, b: KubeObject): number {
  const time = byText(a.metadata?.creationTimestamp ?? "", b.metadata?.creationTimestamp ?? "");
  return time === 0 ? byText(keyOf(a), keyOf(b)) : time;
}

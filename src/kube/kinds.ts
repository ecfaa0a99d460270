import type { Resource } from "./types.ts";

/** A kind that this project serves with its schema. */
export interface KindInfo extends Resource {
  readonly singular: string;
  readonly listKind: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly subresources: readonly Subresource[];
  /** Name of its schema: `core.v1.Service`. */
  readonly schema: string;
}

export type Subresource = "status" | "scale";

interface Details {
  readonly short?: readonly string[];
  readonly all?: true;
  readonly sub?: readonly Subresource[];
  readonly cluster?: true;
}

function define(group: string, kind: string, plural: string, details: Details = {}): KindInfo {
  return {
    group,
    version: "v1",
    kind,
    plural,
    namespaced: details.cluster !== true,
    singular: kind.toLowerCase(),
    listKind: `${kind}List`,
    shortNames: details.short ?? [],
    categories: details.all ? ["all"] : [],
    subresources: details.sub ?? [],
    schema: `${group === "" ? "core" : group.replace(/\..*/, "")}.v1.${kind}`,
  };
}

/** The registry: every kind with a schema here, in the order of discovery (core first, then by group). */
export const kinds: readonly KindInfo[] = [
  define("", "ConfigMap", "configmaps", { short: ["cm"] }),
  define("", "Endpoints", "endpoints", { short: ["ep"] }),
  define("", "Event", "events", { short: ["ev"] }),
  define("", "Namespace", "namespaces", { short: ["ns"], sub: ["status"], cluster: true }),
  define("", "Node", "nodes", { short: ["no"], sub: ["status"], cluster: true }),
  define("", "PersistentVolumeClaim", "persistentvolumeclaims", { short: ["pvc"], sub: ["status"] }),
  define("", "Pod", "pods", { short: ["po"], all: true, sub: ["status"] }),
  define("", "Secret", "secrets"),
  define("", "Service", "services", { short: ["svc"], all: true, sub: ["status"] }),
  define("", "ServiceAccount", "serviceaccounts", { short: ["sa"] }),
  define("apps", "ControllerRevision", "controllerrevisions"),
  define("apps", "DaemonSet", "daemonsets", { short: ["ds"], all: true, sub: ["status"] }),
  define("apps", "Deployment", "deployments", { short: ["deploy"], all: true, sub: ["scale", "status"] }),
  define("apps", "ReplicaSet", "replicasets", { short: ["rs"], all: true, sub: ["scale", "status"] }),
  define("apps", "StatefulSet", "statefulsets", { short: ["sts"], all: true, sub: ["scale", "status"] }),
  define("coordination.k8s.io", "Lease", "leases"),
  define("discovery.k8s.io", "EndpointSlice", "endpointslices"),
  define("events.k8s.io", "Event", "events", { short: ["ev"] }),
  define("networking.k8s.io", "Ingress", "ingresses", { short: ["ing"], sub: ["status"] }),
  define("networking.k8s.io", "IngressClass", "ingressclasses", { cluster: true }),
  define("networking.k8s.io", "IPAddress", "ipaddresses", { short: ["ip"], cluster: true }),
  define("networking.k8s.io", "NetworkPolicy", "networkpolicies", { short: ["netpol"] }),
  define("networking.k8s.io", "ServiceCIDR", "servicecidrs", { sub: ["status"], cluster: true }),
  define("policy", "PodDisruptionBudget", "poddisruptionbudgets", { short: ["pdb"], sub: ["status"] }),
];

/** `apps/v1`, or `v1` for the core group. */
function apiVersionOf(resource: Pick<Resource, "group" | "version">): string {
  return resource.group === "" ? resource.version : `${resource.group}/${resource.version}`;
}

/** The kind with this apiVersion (`apps/v1`) and kind (`Deployment`). */
export function kindOf(apiVersion: string, kind: string): KindInfo | undefined {
  return kinds.find((info) => info.kind === kind && apiVersionOf(info) === apiVersion);
}

/** The kind served under this URL part: `kindByPlural("", "v1", "pods")`. */
export function kindByPlural(group: string, version: string, plural: string): KindInfo | undefined {
  return kinds.find((info) => info.plural === plural && info.group === group && info.version === version);
}

/** `ingresses.networking.k8s.io`; for the core group just `pods`. As messages and Status details name a resource. */
export function qualifiedName(resource: Pick<Resource, "group" | "plural">): string {
  return resource.group === "" ? resource.plural : `${resource.plural}.${resource.group}`;
}

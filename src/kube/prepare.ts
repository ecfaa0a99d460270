import { at, objectAt, objectOf, sameJson, textAt, type JsonObject } from "./json.ts";
import type { KindInfo, Subresource } from "./kinds.ts";
import { normalize } from "./normal.ts";
import { admitPod, qosClass } from "./prepare-pod.ts";
import { createdService, updatedService } from "./prepare-service.ts";

/** Kinds whose `metadata.generation` counts changes of what a user wants. */
const generationKinds = new Set([
  "core.v1.Pod",
  "apps.v1.Deployment",
  "apps.v1.ReplicaSet",
  "apps.v1.StatefulSet",
  "apps.v1.DaemonSet",
  "networking.v1.Ingress",
  "networking.v1.IngressClass",
  "networking.v1.NetworkPolicy",
  "discovery.v1.EndpointSlice",
  "policy.v1.PodDisruptionBudget",
]);

/** A Node comes with the status that its agent reports. */
const keepsStatusOnCreate = new Set(["core.v1.Node"]);

/**
 * What a server does to a new object after defaulting and before validation: system fields and the status that a client
 * may not set are reset, `generation` starts at 1, the built-in admission defaults of pods apply. `uid`,
 * `creationTimestamp`, `resourceVersion`, a generated name and allocated addresses are the server's part.
 * `random` makes the five-character suffix of the service account volume of a pod.
 */
export function prepareForCreate<T extends JsonObject>(
  kind: KindInfo,
  object: T,
  random: () => string = randomSuffix,
): T {
  const metadata: Record<string, unknown> = { ...objectAt(object, "metadata") };
  for (const field of ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"]) delete metadata[field];
  if (!kind.namespaced) delete metadata["namespace"];
  if (generationKinds.has(kind.schema)) metadata["generation"] = 1;
  const result: Record<string, unknown> = { ...object, metadata };
  if (kind.subresources.includes("status") && !keepsStatusOnCreate.has(kind.schema)) delete result["status"];
  return normalize(kind.schema, created(kind, result, random)) as T;
}

function created(kind: KindInfo, object: JsonObject, random: () => string): JsonObject {
  switch (kind.schema) {
    case "core.v1.Pod": {
      const pod = admitPod(object, random);
      return { ...pod, status: { phase: "Pending", qosClass: qosClass(pod) } };
    }
    case "core.v1.Service":
      return createdService(object);
    case "core.v1.Namespace":
      return { ...object, spec: namespaceSpec(object), status: { phase: "Active" } };
    case "core.v1.PersistentVolumeClaim":
      return { ...withFinalizer(object, "kubernetes.io/pvc-protection"), status: { phase: "Pending" } };
    case "core.v1.Node":
      return { ...object, spec: withTaint(objectAt(object, "spec"), "node.kubernetes.io/not-ready") };
    case "discovery.v1.EndpointSlice":
      return { ...object, endpoints: withoutTopology(object["endpoints"]) };
    case "apps.v1.DaemonSet":
      return withTemplateGeneration(object, "1");
    default:
      return object;
  }
}

/** A new node takes no pods before its agent has reported that it is ready. */
function withTaint(spec: JsonObject, key: string): JsonObject {
  const given = Array.isArray(spec["taints"]) ? spec["taints"] : [];
  const present = given.some((taint) => at(taint, "key") === key && at(taint, "effect") === "NoSchedule");
  return present ? spec : { ...spec, taints: [...given, { key, effect: "NoSchedule" }] };
}

/** `deprecatedTopology` cannot be set through v1. */
function withoutTopology(endpoints: unknown): unknown {
  if (!Array.isArray(endpoints)) return endpoints;
  return endpoints.map((endpoint: unknown) => ({ ...objectOf(endpoint), deprecatedTopology: undefined }));
}

function namespaceSpec(object: JsonObject): JsonObject {
  const finalizers = at(object, "spec", "finalizers");
  const given = Array.isArray(finalizers) ? finalizers : [];
  return { finalizers: given.includes("kubernetes") ? given : [...given, "kubernetes"] };
}

function withFinalizer(object: JsonObject, finalizer: string): JsonObject {
  const metadata = objectAt(object, "metadata");
  const given = Array.isArray(metadata["finalizers"]) ? metadata["finalizers"] : [];
  return given.includes(finalizer)
    ? object
    : { ...object, metadata: { ...metadata, finalizers: [...given, finalizer] } };
}

const templateGeneration = "deprecated.daemonset.template.generation";

function withTemplateGeneration(object: JsonObject, generation: string): JsonObject {
  const metadata = objectAt(object, "metadata");
  const annotations = { ...objectOf(metadata["annotations"]), [templateGeneration]: generation };
  return { ...object, metadata: { ...metadata, annotations } };
}

function randomSuffix(): string {
  const letters = "bcdfghjklmnpqrstvwxz2456789";
  return Array.from({ length: 5 }, () => letters[Math.floor(Math.random() * letters.length)]).join("");
}

/** System fields of metadata that a client may leave out of an update. */
const inheritedMetadata = ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"];

/**
 * What a server does to a changed object after defaulting and before validation: system fields come from the old object,
 * `status` too (or, for the status subresource, everything but status and metadata), and `generation` counts the change.
 */
export function prepareForUpdate<T extends JsonObject>(
  kind: KindInfo,
  object: T,
  old: JsonObject,
  subresource?: Subresource,
): T {
  const oldMetadata = objectAt(old, "metadata");
  const metadata: Record<string, unknown> = { ...objectAt(object, "metadata") };
  delete metadata["selfLink"];
  for (const field of inheritedMetadata) metadata[field] ??= oldMetadata[field];
  metadata["generation"] = oldMetadata["generation"];
  if (!kind.namespaced) delete metadata["namespace"];
  const changed = { ...object, metadata };
  const prepared =
    subresource === "status" ? statusUpdate(kind, changed, old) : mainUpdate(kind, changed, old);
  return normalize(kind.schema, prepared) as T;
}

function statusUpdate(kind: KindInfo, object: JsonObject, old: JsonObject): JsonObject {
  const metadata: Record<string, unknown> = { ...objectAt(object, "metadata") };
  if (kind.schema === "apps.v1.Deployment") metadata["labels"] = at(old, "metadata", "labels");
  if (kind.schema === "core.v1.Pod") metadata["ownerReferences"] = at(old, "metadata", "ownerReferences");
  return { ...old, metadata, status: object["status"] };
}

function mainUpdate(kind: KindInfo, object: JsonObject, old: JsonObject): JsonObject {
  const kept = kind.subresources.includes("status") ? { ...object, status: old["status"] } : object;
  const changed =
    kind.schema === "core.v1.Service" ? updatedService(kept, old) : templateChange(kind, kept, old);
  if (!generationKinds.has(kind.schema) || !countsAsChange(kind, changed, old)) return changed;
  const metadata = objectAt(changed, "metadata");
  return { ...changed, metadata: { ...metadata, generation: Number(metadata["generation"] ?? 0) + 1 } };
}

function templateChange(kind: KindInfo, object: JsonObject, old: JsonObject): JsonObject {
  if (kind.schema !== "apps.v1.DaemonSet") return object;
  const generation = Number(textAt(old, "metadata", "annotations", templateGeneration));
  const same = sameJson(at(object, "spec", "template"), at(old, "spec", "template"));
  return withTemplateGeneration(object, String(same ? generation : generation + 1));
}

function countsAsChange(kind: KindInfo, object: JsonObject, old: JsonObject): boolean {
  const differs = (...path: readonly string[]): boolean => !sameJson(at(object, ...path), at(old, ...path));
  if (kind.schema === "apps.v1.Deployment") return differs("spec") || differs("metadata", "annotations");
  if (kind.schema === "discovery.v1.EndpointSlice") {
    return (
      ["addressType", "endpoints", "ports"].some((field) => differs(field)) || differs("metadata", "labels")
    );
  }
  return differs("spec");
}

import { randomInt, randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { applyDefaults, prepareForCreate, prepareForUpdate, validate } from "#kube/server";
import type { KindInfo, KubeObject, Subresource } from "#kube";
import { admit, checkNamespace } from "./admission.ts";
import { apiVersionOf } from "./body.ts";
import type { Context } from "./context.ts";
import type { Target } from "./route.ts";
import { allocate } from "./service-fields.ts";
import { ApiFault, alreadyExists, badRequest, conflict, invalid, notFound } from "./status.ts";
import { storageOf } from "./storage.ts";
import { objectWarnings } from "./warnings.ts";

/** Kinds whose PUT must name the resourceVersion that it replaces. */
const VERSION_REQUIRED = new Set(["leases"]);
const SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789";

/** Five random letters and digits, as generated names end. */
function suffix(): string {
  return Array.from({ length: 5 }, () => SUFFIX_LETTERS[randomInt(SUFFIX_LETTERS.length)]).join("");
}

/** Checks the namespace of an object against the path, and fills it in. */
function inNamespaceOf(object: KubeObject, target: Target): KubeObject {
  if (!target.kind.namespaced) return object;
  const given = object.metadata?.namespace ?? "";
  if (given !== "" && given !== target.namespace) {
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  }
  return { ...object, metadata: { ...object.metadata, namespace: target.namespace ?? "" } };
}

/** Creates an object by the rules of its kind. Used by POST, by PUT where allowed, and by the server itself. */
export function create(
  context: Context,
  target: Target,
  given: KubeObject,
  dryRun: boolean,
  warnings: string[] = [],
): KubeObject {
  const { kind } = target;
  const storage = storageOf(kind);
  if ((given.metadata?.resourceVersion ?? "") !== "") {
    throw new ApiFault(500, undefined, "resourceVersion should not be set on objects to be created");
  }
  const named = withSystemFields(context, inNamespaceOf(given, target));
  const name = named.metadata?.name ?? "";
  checkNamespace(context, kind, target.namespace, name);
  const admitted = admit(context, kind, applyDefaults(kind, named));
  const prepared = prepareForCreate(kind, admitted, suffix);
  const object = kind.schema === "core.v1.Service" ? allocate(context.allocator, prepared) : prepared;
  checkValid(kind, object);
  warnings.push(...objectWarnings(kind, object));
  if (context.store.get(storage.resource, target.namespace ?? "", name) !== undefined) {
    throw alreadyExists(kind, name);
  }
  if (dryRun) return object;
  const stored = storage.fromStored(context.store.create(storage.resource, storage.toStored(object)));
  if (kind.schema === "core.v1.Namespace") addDefaultAccount(context, name);
  return stored;
}

/** A new Namespace gets its ServiceAccount `default` at once, so that pods can be made in it. */
function addDefaultAccount(context: Context, namespace: string): void {
  const kind = context.kinds.find((item) => item.schema === "core.v1.ServiceAccount");
  if (kind === undefined) return;
  const target: Target = { kind, namespace, name: undefined, subresource: undefined, rest: "" };
  create(
    context,
    target,
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace } },
    false,
  );
}

function withSystemFields(context: Context, object: KubeObject): KubeObject {
  const {
    managedFields: _managed,
    selfLink: _link,
    ...metadata
  } = { managedFields: 0, selfLink: 0, ...object.metadata };
  const base = metadata.generateName ?? "";
  const name = metadata.name ?? "";
  return {
    ...object,
    metadata: {
      ...metadata,
      // Names hold 63 characters, the generated part included (apiserver names.SimpleNameGenerator).
      ...(name === "" && base !== "" ? { name: `${base.slice(0, 58)}${suffix()}` } : {}),
      uid: randomUUID(),
      creationTimestamp: timestamp(context.now()),
    },
  };
}

/** RFC 3339 in seconds, as Kubernetes writes times. */
export function timestamp(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}

function checkValid(kind: KindInfo, object: KubeObject, old?: KubeObject, subresource?: Subresource): void {
  const errors = validate(kind, object, old, subresource);
  if (errors.length > 0) throw invalid(kind, object.metadata?.name ?? "", errors);
}

/**
 * Replaces an object by the rules of its kind. A change that changes nothing keeps the version. The
 * object is removed when this takes away the last finalizer of a deletion.
 */
export function update(
  context: Context,
  target: Target,
  given: KubeObject,
  old: KubeObject,
  dryRun: boolean,
  warnings: string[] = [],
): KubeObject {
  const { kind } = target;
  const name = target.name ?? "";
  const placed = inNamespaceOf(given, target);
  checkVersion(kind, name, placed, old);
  const { resourceVersion, managedFields: _managed, ...metadata } = { managedFields: 0, ...placed.metadata };
  const current = { ...metadata, resourceVersion: old.metadata?.resourceVersion ?? resourceVersion ?? "" };
  const subresource = subresourceOf(target);
  const full = applyDefaults(kind, {
    ...placed,
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    metadata: current,
  });
  const admitted = subresource === undefined ? admit(context, kind, full, old) : full;
  const prepared = prepareForUpdate(kind, admitted, old, subresource);
  const isService = kind.schema === "core.v1.Service" && subresource === undefined;
  const object = isService ? allocate(context.allocator, prepared, old) : prepared;
  checkValid(kind, object, old, subresource);
  warnings.push(...objectWarnings(kind, object, old));
  return store(context, kind, object, old, dryRun);
}

const subresourceOf = (target: Target): Subresource | undefined =>
  target.subresource === "status" || target.subresource === "scale" ? target.subresource : undefined;

function checkVersion(kind: KindInfo, name: string, object: KubeObject, old: KubeObject): void {
  const { uid, resourceVersion = "" } = object.metadata ?? {};
  if (uid !== undefined && uid !== "" && uid !== old.metadata?.uid) {
    throw conflict(
      kind,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata?.uid ?? ""}`,
    );
  }
  if (resourceVersion !== "" && !/^\d+$/.test(resourceVersion)) {
    throw new ApiFault(
      500,
      undefined,
      `strconv.ParseUint: parsing ${JSON.stringify(resourceVersion)}: invalid syntax`,
    );
  }
  if (resourceVersion === "" || resourceVersion === "0") {
    if (!VERSION_REQUIRED.has(kind.plural)) return;
    throw invalid(kind, name, [
      {
        reason: "FieldValueInvalid",
        field: "metadata.resourceVersion",
        message: "Invalid value: 0: must be specified for an update",
      },
    ]);
  }
  if (resourceVersion !== old.metadata?.resourceVersion) throw conflict(kind, name);
}

/** Stores a changed object, unless nothing changed or this ends its deletion. */
export function store(
  context: Context,
  kind: KindInfo,
  object: KubeObject,
  old: KubeObject,
  dryRun: boolean,
): KubeObject {
  if (isDeepStrictEqual(object, old)) return old;
  const storage = storageOf(kind);
  const { namespace = "", name = "" } = old.metadata ?? {};
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = object.metadata ?? {};
  const ends =
    deletionTimestamp !== undefined &&
    (finalizers ?? []).length === 0 &&
    (deletionGracePeriodSeconds ?? 0) === 0;
  // A Namespace ends when its content is gone and its own kind of finalizer with it.
  if (ends && kind.kind !== "Namespace") {
    if (!dryRun) context.store.remove(storage.resource, namespace, name);
    return object;
  }
  if (dryRun) return object;
  if (context.store.get(storage.resource, namespace, name) === undefined) throw notFound(kind, name);
  return storage.fromStored(context.store.update(storage.resource, storage.toStored(object)));
}

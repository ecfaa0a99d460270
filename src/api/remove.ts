import type { ApiResponse } from "#client";
import type { KindInfo, KubeObject } from "#kube";
import type { Context, Request } from "./context.ts";
import { numberAt, recordAt, textAt, valueAt } from "./fields.ts";
import { parseDeleteOptions, parseListOptions } from "./options.ts";
import type { DeleteOptions } from "./options.ts";
import { find, respond, respondWith, selectPage, selector, viewOf } from "./read.ts";
import { renderList } from "./represent.ts";
import type { Target } from "./route.ts";
import { conflict, deleted, forbidden } from "./status.ts";
import { storageOf } from "./storage.ts";
import { timestamp } from "./lifecycle.ts";

/** Kinds whose deletion answers with the object instead of a Status. */
const RETURNS_OBJECT = new Set(["pods", "services", "serviceaccounts", "persistentvolumeclaims"]);
/** Namespaces that the cluster needs (NamespaceLifecycle admission). */
const IMMORTAL = new Set(["default", "kube-system", "kube-public"]);

const FOREGROUND = "foregroundDeletion";
const ORPHAN = "orphan";

/** What became of an object that was to be deleted. */
interface Outcome {
  readonly object: KubeObject;
  /** False while finalizers or a grace period hold it. */
  readonly gone: boolean;
}

export function handleDelete(context: Context, request: Request, target: Target): ApiResponse {
  const options = parseDeleteOptions(request.query, request.body, request.headers["content-type"]);
  const view = viewOf(context, request, target.kind, false);
  const { object, gone } = remove(context, target.kind, find(context, target), options);
  if (gone && !RETURNS_OBJECT.has(target.kind.plural)) {
    return respondWith(view, 200, deleted(target.kind, target.name ?? "", object.metadata?.uid));
  }
  return respond(view, 200, object);
}

export function handleDeleteCollection(context: Context, request: Request, target: Target): ApiResponse {
  const options = parseDeleteOptions(request.query, request.body, request.headers["content-type"]);
  const list = parseListOptions(request.query);
  const view = viewOf(context, request, target.kind, true);
  const { items, meta } = selectPage(context, target, list, selector(list, target.kind));
  for (const item of items) remove(context, target.kind, item, options);
  return respondWith(view, 200, renderList(view, items, meta));
}

/**
 * Deletes an object, or begins its deletion: pods that run get their grace period, finalizers keep the
 * object until they are taken away, a Namespace waits for its content.
 */
export function remove(
  context: Context,
  kind: KindInfo,
  object: KubeObject,
  options: DeleteOptions,
): Outcome {
  const { name = "", uid, resourceVersion } = object.metadata ?? {};
  checkPreconditions(kind, name, options, uid, resourceVersion);
  if (kind.kind === "Namespace" && kind.group === "")
    return endNamespace(context, kind, object, options.dryRun);
  if (kind.kind === "Pod" && kind.group === "") return removePod(context, kind, object, options);
  const finalizers = finalizersFor(object, options);
  if (finalizers.length === 0) {
    if (!options.dryRun) drop(context, kind, object);
    return { object, gone: true };
  }
  return { object: begin(context, kind, object, finalizers, 0, options.dryRun), gone: false };
}

function checkPreconditions(
  kind: KindInfo,
  name: string,
  options: DeleteOptions,
  uid: string | undefined,
  version: string | undefined,
): void {
  const named = { group: kind.group, kind: kind.kind, plural: kind.kind };
  if (options.uid !== undefined && options.uid !== uid) {
    throw conflict(
      named,
      name,
      `the UID in the precondition (${options.uid}) does not match the UID in record (${uid ?? ""}). The object might have been deleted and then recreated`,
    );
  }
  if (options.resourceVersion !== undefined && options.resourceVersion !== version) {
    throw conflict(
      named,
      name,
      `the ResourceVersion in the precondition (${options.resourceVersion}) does not match the ResourceVersion in record (${version ?? ""}). The object might have been modified`,
    );
  }
}

/** The finalizers with those that the propagation policy stands for. */
function finalizersFor(object: KubeObject, options: DeleteOptions): readonly string[] {
  const given = object.metadata?.finalizers ?? [];
  if (options.propagationPolicy === undefined) return given;
  const others = given.filter((item) => item !== FOREGROUND && item !== ORPHAN);
  if (options.propagationPolicy === "Foreground") return [...others, FOREGROUND];
  return options.propagationPolicy === "Orphan" ? [...others, ORPHAN] : others;
}

function drop(context: Context, kind: KindInfo, object: KubeObject): void {
  const { namespace = "", name = "" } = object.metadata ?? {};
  context.store.remove(storageOf(kind).resource, namespace, name);
}

function write(context: Context, kind: KindInfo, object: KubeObject, dryRun: boolean): KubeObject {
  if (dryRun) return object;
  const storage = storageOf(kind);
  return storage.fromStored(context.store.update(storage.resource, storage.toStored(object)));
}

/** Marks an object as being deleted, `grace` seconds from now; a later deletion can only shorten that. */
function begin(
  context: Context,
  kind: KindInfo,
  object: KubeObject,
  finalizers: readonly string[],
  grace: number,
  dryRun: boolean,
): KubeObject {
  const { finalizers: before = [], ...metadata } = object.metadata ?? {};
  const already = metadata.deletionTimestamp !== undefined;
  const current = metadata.deletionGracePeriodSeconds ?? 0;
  if (already && current <= grace && finalizers.length === before.length) return object;
  const time = context.now().getTime() + grace * 1000;
  const generation =
    metadata.generation === undefined || already ? {} : { generation: metadata.generation + 1 };
  return write(
    context,
    kind,
    {
      ...object,
      metadata: {
        ...metadata,
        ...generation,
        ...(already && current <= grace
          ? {}
          : { deletionTimestamp: timestamp(new Date(time)), deletionGracePeriodSeconds: grace }),
        ...(finalizers.length === 0 ? {} : { finalizers }),
      },
    },
    dryRun,
  );
}

function removePod(context: Context, kind: KindInfo, pod: KubeObject, options: DeleteOptions): Outcome {
  const finalizers = finalizersFor(pod, options);
  const phase = textAt(pod, "status", "phase");
  const finished = phase === "Succeeded" || phase === "Failed";
  const runs = textAt(pod, "spec", "nodeName") !== "" && !finished;
  const own =
    valueAt(pod, "spec", "terminationGracePeriodSeconds") === undefined
      ? 30
      : numberAt(pod, "spec", "terminationGracePeriodSeconds");
  const grace = runs ? (options.gracePeriodSeconds ?? own) : 0;
  const marked = begin(context, kind, pod, finalizers, grace, options.dryRun);
  const left = marked.metadata?.deletionGracePeriodSeconds ?? 0;
  if (left > 0 || finalizers.length > 0) return { object: marked, gone: false };
  if (!options.dryRun) drop(context, kind, marked);
  return { object: marked, gone: true };
}

function endNamespace(context: Context, kind: KindInfo, namespace: KubeObject, dryRun: boolean): Outcome {
  const { metadata } = namespace;
  const name = metadata?.name ?? "";
  if (IMMORTAL.has(name)) throw forbidden(kind, name, "this namespace may not be deleted");
  if (metadata?.deletionTimestamp !== undefined) return { object: namespace, gone: false };
  const ending = {
    ...namespace,
    metadata: { ...metadata, deletionTimestamp: timestamp(context.now()) },
    status: { ...recordAt(namespace, "status"), phase: "Terminating" },
  };
  return { object: write(context, kind, ending, dryRun), gone: false };
}

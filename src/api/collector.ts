import type { KindInfo, KubeObject } from "#kube";
import { messageOf } from "#lib/errors";
import { apiVersionOf } from "./body.ts";
import type { Context } from "./context.ts";
import { createDependents } from "./dependents.ts";
import type { Dependents, Stored } from "./dependents.ts";
import { listAt, textAt } from "./fields.ts";
import type { DeleteOptions } from "./options.ts";
import { remove } from "./remove.ts";
import { storageOf } from "./storage.ts";
import type { Change } from "./store.ts";
import { store } from "./lifecycle.ts";

/**
 * What follows from deletions: the content of a deleted Namespace goes, then the Namespace; objects whose
 * owners are all gone go (background), before their owner (foreground), or lose the reference (orphan).
 * Kubernetes does this in its controller manager; the rules are those of its garbage collector.
 */

const FOREGROUND = "foregroundDeletion";
const ORPHAN = "orphan";
/** Events are kept for an hour, as in the original. */
const EVENT_LIFE_MS = 3_600_000;
const EVENT_SWEEP_MS = 60_000;

const deletion = (propagationPolicy: "Background" | "Foreground", uid?: string): DeleteOptions => ({
  dryRun: false,
  gracePeriodSeconds: undefined,
  propagationPolicy,
  uid,
  resourceVersion: undefined,
});

/** Begins to follow the store; the returned function ends it. Work is done after the change that causes it. */
export function startCollector(context: Context): () => void {
  const kinds = context.kinds.filter((kind) => storageOf(kind).primary);
  const dependents = createDependents();
  const collector: Collector = { context, kinds, dependents };
  const later = createDeferral((error) =>
    context.log.error("cleaning up after a deletion failed", { error: messageOf(error) }),
  );

  const onChange = (kind: KindInfo, { type, object }: Change): void => {
    dependents.note(kind, object, type === "DELETED");
    const metadata = object.metadata ?? {};
    const owners = metadata.ownerReferences ?? [];
    if (type === "DELETED") {
      later.run(() => afterOwner(collector, metadata.uid ?? ""));
      for (const owner of owners) later.run(() => finishForeground(collector, owner.uid));
      if (metadata.namespace !== undefined)
        later.run(() => finishNamespace(collector, metadata.namespace ?? ""));
    } else if (metadata.deletionTimestamp !== undefined) {
      if (kind.schema === "core.v1.Namespace")
        later.run(() => emptyNamespace(collector, metadata.name ?? ""));
      if (metadata.finalizers?.includes(ORPHAN))
        later.run(() => orphanDependents(collector, metadata.uid ?? ""));
      if (metadata.finalizers?.includes(FOREGROUND)) {
        later.run(() => deleteDependents(collector, metadata.uid ?? ""));
      }
    } else if (type === "ADDED" && owners.length > 0) {
      later.run(() => collectIfAbandoned(collector, metadata.uid ?? ""));
    }
  };

  const subscriptions = kinds.map((kind) => {
    const { resource } = storageOf(kind);
    for (const object of context.store.list(resource)) dependents.note(kind, object, false);
    return context.store.watch(resource, undefined, context.store.revision(), (change) =>
      onChange(kind, change),
    );
  });
  const sweep = setInterval(() => expireEvents(context), EVENT_SWEEP_MS);
  sweep.unref();
  return () => {
    later.close();
    clearInterval(sweep);
    for (const subscription of subscriptions) subscription.close();
  };
}

interface Collector {
  readonly context: Context;
  /** Kinds that have a storage of their own. */
  readonly kinds: readonly KindInfo[];
  readonly dependents: Dependents;
}

/** Collects work and does it after the present turn: listeners of the store must not write to it. */
function createDeferral(onError: (error: unknown) => void): { run(work: () => void): void; close(): void } {
  let queue: (() => void)[] = [];
  let closed = false;
  const drain = (): void => {
    const batch = queue;
    queue = [];
    for (const work of batch) {
      if (closed) return;
      try {
        work();
      } catch (error) {
        onError(error);
      }
    }
  };
  return {
    run: (work) => {
      if (queue.push(work) === 1) setImmediate(drain);
    },
    close: () => {
      closed = true;
      queue = [];
    },
  };
}

/** An owner is gone: what it alone owned goes, the rest forgets it. */
function afterOwner(collector: Collector, uid: string): void {
  for (const dependent of collector.dependents.of(uid)) collectIfAbandoned(collector, uidOf(dependent));
}

const uidOf = (stored: Stored): string => stored.object.metadata?.uid ?? "";

function collectIfAbandoned(collector: Collector, uid: string): void {
  const stored = collector.dependents.get(uid);
  const owners = stored?.object.metadata?.ownerReferences ?? [];
  if (stored === undefined || owners.length === 0 || stored.object.metadata?.deletionTimestamp !== undefined)
    return;
  const known = (owner: { apiVersion: string; kind: string }): boolean =>
    collector.kinds.some((kind) => kind.kind === owner.kind && apiVersionOf(kind) === owner.apiVersion);
  // Owners of kinds that nobody serves here cannot be looked up and so count as present.
  const present = owners.filter(
    (owner) => collector.dependents.get(owner.uid) !== undefined || !known(owner),
  );
  if (present.length === owners.length) return;
  if (present.length === 0)
    remove(collector.context, stored.kind, stored.object, deletion("Background", uid));
  else rewrite(collector, stored, { ownerReferences: present });
}

/** Stores an object with other metadata; without finalizers a deletion then comes to its end. */
function rewrite(
  collector: Collector,
  stored: Stored,
  change: Partial<NonNullable<KubeObject["metadata"]>>,
): void {
  const { object, kind } = stored;
  const metadata = Object.fromEntries(
    Object.entries({ ...object.metadata, ...change }).filter(
      ([, value]) => !Array.isArray(value) || value.length > 0,
    ),
  );
  store(collector.context, kind, { ...object, metadata }, object, false);
}

function withoutFinalizer(collector: Collector, stored: Stored, finalizer: string): void {
  const finalizers = stored.object.metadata?.finalizers ?? [];
  rewrite(collector, stored, { finalizers: finalizers.filter((item) => item !== finalizer) });
}

function orphanDependents(collector: Collector, uid: string): void {
  for (const dependent of collector.dependents.of(uid)) {
    const owners = dependent.object.metadata?.ownerReferences ?? [];
    rewrite(collector, dependent, { ownerReferences: owners.filter((owner) => owner.uid !== uid) });
  }
  const owner = collector.dependents.get(uid);
  if (owner !== undefined) withoutFinalizer(collector, owner, ORPHAN);
}

function deleteDependents(collector: Collector, uid: string): void {
  for (const dependent of collector.dependents.of(uid)) {
    if (dependent.object.metadata?.deletionTimestamp !== undefined) continue;
    const policy = blocks(dependent, uid) ? "Foreground" : "Background";
    remove(collector.context, dependent.kind, dependent.object, deletion(policy, uidOf(dependent)));
  }
  finishForeground(collector, uid);
}

const blocks = (dependent: Stored, uid: string): boolean =>
  dependent.object.metadata?.ownerReferences?.some(
    (owner) => owner.uid === uid && owner.blockOwnerDeletion === true,
  ) === true;

/** Lets an owner go once nothing that blocks its deletion is left. */
function finishForeground(collector: Collector, uid: string): void {
  const owner = collector.dependents.get(uid);
  if (owner?.object.metadata?.deletionTimestamp === undefined) return;
  if (!owner.object.metadata.finalizers?.includes(FOREGROUND)) return;
  if (collector.dependents.of(uid).some((dependent) => blocks(dependent, uid))) return;
  withoutFinalizer(collector, owner, FOREGROUND);
}

function emptyNamespace(collector: Collector, name: string): void {
  for (const kind of collector.kinds) {
    if (!kind.namespaced) continue;
    for (const object of collector.context.store.list(storageOf(kind).resource, name)) {
      if (object.metadata?.deletionTimestamp === undefined) {
        remove(collector.context, kind, object, deletion("Background", object.metadata?.uid));
      }
    }
  }
  finishNamespace(collector, name);
}

function finishNamespace(collector: Collector, name: string): void {
  const { store } = collector.context;
  const namespace = store.get("namespaces", "", name);
  if (namespace?.metadata?.deletionTimestamp === undefined) return;
  if ((namespace.metadata.finalizers ?? []).length > 0) return;
  if (listAt(namespace, "spec", "finalizers").some((item) => item !== "kubernetes")) return;
  const content = collector.kinds.some(
    (kind) => kind.namespaced && store.list(storageOf(kind).resource, name).length > 0,
  );
  if (!content) store.remove("namespaces", "", name);
}

function expireEvents(context: Context): void {
  const oldest = context.now().getTime() - EVENT_LIFE_MS;
  for (const event of context.store.list("events")) {
    const last =
      textAt(event, "lastTimestamp") || textAt(event, "eventTime") || event.metadata?.creationTimestamp;
    if (Date.parse(last ?? "") >= oldest) continue;
    context.store.remove("events", event.metadata?.namespace ?? "", event.metadata?.name ?? "");
  }
}

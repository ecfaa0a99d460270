import type { KubeObject } from "#kube";
import { HistoryExpired, Missing, Occupied } from "./store.ts";
import type { Change, Store, Subscription } from "./store.ts";

interface Watcher {
  readonly namespace: string | undefined;
  readonly listener: (change: Change) => void;
}

/** One namespace's objects by name, with the names in order as long as none came or went. */
interface Bucket {
  readonly objects: Map<string, KubeObject>;
  sorted: readonly KubeObject[] | undefined;
}

interface Shelf {
  /** Revision of the last change of this resource. */
  revision: number;
  readonly buckets: Map<string, Bucket>;
  readonly watchers: Set<Watcher>;
}

/** Makes an object and all it holds read-only; shared parts that are frozen already are not walked again. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const child of Object.values(value)) deepFreeze(child);
  return value;
}

/** Keeps everything in memory, and at least the last `historySize` changes for watches. */
export function createMemoryStore({ historySize }: { historySize: number }): Store {
  const shelves = new Map<string, Shelf>();
  const history = createRing(historySize);
  let revision = 1;

  const shelfOf = (resource: string): Shelf => {
    let shelf = shelves.get(resource);
    if (shelf === undefined)
      shelves.set(resource, (shelf = { revision: 0, buckets: new Map(), watchers: new Set() }));
    return shelf;
  };

  const find = (resource: string, namespace: string, name: string): KubeObject | undefined =>
    shelves.get(resource)?.buckets.get(namespace)?.objects.get(name);

  const publish = (change: Change): void => {
    history.push(change);
    const namespace = change.object.metadata?.namespace ?? "";
    const shelf = shelfOf(change.resource);
    shelf.revision = change.revision;
    for (const watcher of shelf.watchers) {
      if (watcher.namespace === undefined || watcher.namespace === namespace) watcher.listener(change);
    }
  };

  const put = (resource: string, object: KubeObject, previous: KubeObject | undefined): KubeObject => {
    const stamped = stamp(object, ++revision);
    const { namespace = "", name = "" } = stamped.metadata ?? {};
    const shelf = shelfOf(resource);
    let bucket = shelf.buckets.get(namespace);
    if (bucket === undefined)
      shelf.buckets.set(namespace, (bucket = { objects: new Map(), sorted: undefined }));
    bucket.objects.set(name, stamped);
    bucket.sorted = undefined;
    const type = previous === undefined ? "ADDED" : "MODIFIED";
    publish({ type, resource, revision, object: stamped, ...(previous === undefined ? {} : { previous }) });
    return stamped;
  };

  return {
    revision: () => revision,
    get: find,
    count: (resource) => {
      let total = 0;
      for (const bucket of shelves.get(resource)?.buckets.values() ?? []) total += bucket.objects.size;
      return total;
    },
    list: (resource, namespace, at) => {
      if (at !== undefined && at < shelfOf(resource).revision) return listAt(resource, namespace, at);
      const buckets = shelves.get(resource)?.buckets ?? new Map<string, Bucket>();
      if (namespace !== undefined) return inOrder(buckets.get(namespace));
      return [...buckets.keys()].sort(byCodeUnit).flatMap((key) => inOrder(buckets.get(key)));
    },
    create: (resource, object) => {
      const { namespace = "", name = "" } = object.metadata ?? {};
      if (find(resource, namespace, name) !== undefined) throw new Occupied(name);
      return put(resource, object, undefined);
    },
    update: (resource, object) => {
      const { namespace = "", name = "" } = object.metadata ?? {};
      const previous = find(resource, namespace, name);
      if (previous === undefined) throw new Missing(name);
      return put(resource, object, previous);
    },
    remove: (resource, namespace, name) => {
      const previous = find(resource, namespace, name);
      const bucket = shelves.get(resource)?.buckets.get(namespace);
      if (previous === undefined || bucket === undefined) return undefined;
      bucket.objects.delete(name);
      bucket.sorted = undefined;
      if (bucket.objects.size === 0) shelfOf(resource).buckets.delete(namespace);
      const last = stamp(previous, ++revision);
      publish({ type: "DELETED", resource, revision, object: last, previous });
      return last;
    },
    watch: (resource, namespace, after, listener): Subscription => {
      if (after < history.oldest()) throw new HistoryExpired(after, history.oldest());
      history.since(after, (change) => {
        if (change.resource !== resource) return;
        if (namespace === undefined || change.object.metadata?.namespace === namespace) listener(change);
      });
      const watcher: Watcher = { namespace, listener };
      shelfOf(resource).watchers.add(watcher);
      return { close: () => shelfOf(resource).watchers.delete(watcher) };
    },
  };

  /** The state at an earlier revision: today's objects with the later changes taken back. */
  function listAt(resource: string, namespace: string | undefined, at: number): readonly KubeObject[] {
    if (at < history.oldest()) throw new HistoryExpired(at, history.oldest());
    const byKey = new Map<string, KubeObject>();
    for (const [key, bucket] of shelves.get(resource)?.buckets ?? []) {
      if (namespace !== undefined && key !== namespace) continue;
      for (const object of bucket.objects.values()) byKey.set(keyOf(object), object);
    }
    const later: Change[] = [];
    history.since(at, (change) => later.push(change));
    for (const change of later.reverse()) {
      if (change.resource !== resource) continue;
      if (namespace !== undefined && change.object.metadata?.namespace !== namespace) continue;
      if (change.previous === undefined) byKey.delete(keyOf(change.object));
      else byKey.set(keyOf(change.object), change.previous);
    }
    return sortedValues(byKey);
  }
}

function sortedValues(objects: ReadonlyMap<string, KubeObject>): readonly KubeObject[] {
  return [...objects].sort(([a], [b]) => byCodeUnit(a, b)).map(([, object]) => object);
}

const byCodeUnit = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

const keyOf = (object: KubeObject): string =>
  `${object.metadata?.namespace ?? ""}\u0000${object.metadata?.name ?? ""}`;

function inOrder(bucket: Bucket | undefined): readonly KubeObject[] {
  if (bucket === undefined) return [];
  bucket.sorted ??= sortedValues(bucket.objects);
  return bucket.sorted;
}

/** The object with its version, in the place where Kubernetes writes it. */
function stamp(object: KubeObject, revision: number): KubeObject {
  const stamped: Record<string, unknown> = {};
  for (const field of ["name", "generateName", "namespace", "uid"] as const) {
    const value = object.metadata?.[field];
    if (value !== undefined) stamped[field] = value;
  }
  stamped["resourceVersion"] = String(revision);
  return deepFreeze({
    ...object,
    metadata: { ...stamped, ...object.metadata, resourceVersion: String(revision) },
  });
}

/** The last `size` changes in order. */
function createRing(size: number): {
  push(change: Change): void;
  /** Changes after this revision are all here. */
  oldest(): number;
  since(revision: number, visit: (change: Change) => void): void;
} {
  let changes: Change[] = [];
  let dropped = 0;
  return {
    push: (change) => {
      changes.push(change);
      // Dropping in blocks keeps the cost per change constant.
      if (changes.length >= size * 2) {
        dropped = changes[changes.length - size - 1]?.revision ?? dropped;
        changes = changes.slice(-size);
      }
    },
    oldest: () => dropped,
    since: (revision, visit) => {
      let low = 0;
      let high = changes.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if ((changes[middle]?.revision ?? 0) <= revision) low = middle + 1;
        else high = middle;
      }
      for (let at = low; at < changes.length; at++) {
        const change = changes[at];
        if (change !== undefined) visit(change);
      }
    },
  };
}

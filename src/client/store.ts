import type { KubeObject } from "#kube";
import { isNewer } from "./resource-version.ts";

export type ChangeType = "ADDED" | "MODIFIED" | "DELETED";

/** Called after the store has changed. Must not throw. `old` is what the store held before. */
export type ChangeListener<T extends KubeObject> = (type: ChangeType, object: T, old: T | undefined) => void;

/** Names of an index, and the keys under which it holds an object. */
export type Indexes<T extends KubeObject> = Readonly<Record<string, (object: T) => readonly string[]>>;

/**
 * The objects of one kind, as far as a watch and our own writes have told us.
 *
 * What an object looks like only moves forward: news older than what is held are ignored. So an answer to one of
 * our own writes can be put in at once (`absorb`), and the watch event of the same write changes nothing any more.
 */
export interface Store<T extends KubeObject> {
  readonly list: () => readonly T[];
  readonly get: (namespace: string | undefined, name: string) => T | undefined;
  readonly indexed: (index: string, key: string) => readonly T[];
  readonly onChange: (listener: ChangeListener<T>) => void;
  /** The resourceVersion up to which the server has told everything; empty before the first list. */
  readonly version: () => string;
  /** The state of a whole collection at a resourceVersion. */
  replace(items: readonly T[], resourceVersion: string): void;
  /** One watch event. */
  apply(type: ChangeType, object: T): void;
  /** A bookmark: nothing happened up to this resourceVersion that we have not been told. */
  advance(resourceVersion: string): void;
  /** The answer to a write of ours. */
  readonly absorb: (object: T) => void;
  /** A delete of ours that took effect at once. */
  readonly forget: (object: T) => void;
}

/** `namespace/name`, or `name` of an object without a namespace. */
export function objectKey(object: KubeObject): string {
  return keyFor(object.metadata?.namespace, object.metadata?.name ?? "");
}

export function createStore<T extends KubeObject>(indexes: Indexes<T>): Store<T> {
  const objects = new Map<string, T>();
  const buckets = new Map<string, Set<T>>();
  const gone = new Set<string>();
  const listeners: ChangeListener<T>[] = [];
  let seen = "";
  /** The same array until something changes, so that what was made of it can be kept with it. */
  let listed: readonly T[] | undefined;

  const bucketsOf = (object: T): string[] =>
    Object.entries(indexes).flatMap(([index, keys]) => keys(object).map((key) => `${index}\0${key}`));
  const put = (key: string, object: T | undefined): void => {
    const old = objects.get(key);
    listed = undefined;
    if (old !== undefined) for (const name of bucketsOf(old)) buckets.get(name)?.delete(old);
    if (object === undefined) objects.delete(key);
    else {
      objects.set(key, object);
      for (const name of bucketsOf(object)) bucket(buckets, name).add(object);
    }
  };
  const tell: ChangeListener<T> = (type, object, old) => {
    for (const listener of listeners) listener(type, object, old);
  };
  const remove = (key: string, last: T): void => {
    const old = objects.get(key);
    if (old === undefined) return;
    put(key, undefined);
    tell("DELETED", last, old);
  };
  const set = (object: T): void => {
    const key = objectKey(object);
    const old = objects.get(key);
    if (gone.has(uidOf(object))) return;
    if (old !== undefined && !isNewer(versionOf(object), versionOf(old))) return;
    if (old !== undefined && uidOf(old) !== uidOf(object)) remove(key, old);
    const before = objects.get(key);
    put(key, object);
    tell(before === undefined ? "ADDED" : "MODIFIED", object, before);
  };
  const advance = (version: string): void => {
    if (seen === "" || isNewer(version, seen)) seen = version;
  };

  return {
    version: () => seen,
    list: () => (listed ??= [...objects.values()]),
    get: (namespace, name) => objects.get(keyFor(namespace, name)),
    indexed: (index, key) => {
      if (indexes[index] === undefined) throw new Error(`there is no index ${index}`);
      return [...(buckets.get(`${index}\0${key}`) ?? [])];
    },
    onChange: (listener) => {
      listeners.push(listener);
      for (const object of objects.values()) listener("ADDED", object, undefined);
    },
    replace: (items, version) => {
      gone.clear();
      const present = new Set(items.map(objectKey));
      for (const [key, held] of objects) {
        if (!present.has(key) && !isNewer(versionOf(held), version)) remove(key, held);
      }
      seen = version;
      for (const item of items) set(item);
    },
    apply: (type, object) => {
      advance(versionOf(object));
      if (type !== "DELETED") return set(object);
      gone.delete(uidOf(object));
      const held = objects.get(objectKey(object));
      if (held !== undefined && uidOf(held) === uidOf(object)) remove(objectKey(object), object);
    },
    advance,
    absorb: (object) => {
      // What the watch has already passed, it has also told: an older answer could only bring back the dead.
      if (seen !== "" && isNewer(versionOf(object), seen)) set(object);
    },
    forget: (object) => {
      const held = objects.get(objectKey(object));
      if (held === undefined || uidOf(held) !== uidOf(object)) return;
      gone.add(uidOf(object));
      remove(objectKey(object), held);
    },
  };
}

function keyFor(namespace: string | undefined, name: string): string {
  return namespace === undefined || namespace === "" ? name : `${namespace}/${name}`;
}

function bucket<T>(buckets: Map<string, Set<T>>, name: string): Set<T> {
  const found = buckets.get(name) ?? new Set<T>();
  buckets.set(name, found);
  return found;
}

function versionOf(object: KubeObject): string {
  return object.metadata?.resourceVersion ?? "";
}

function uidOf(object: KubeObject): string {
  return object.metadata?.uid ?? "";
}

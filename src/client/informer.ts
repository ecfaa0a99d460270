import type { KubeObject, Resource } from "#kube";
import { type Log, silentLog } from "#lib/log";
import type { Client, Selection } from "./client.ts";
import { type Clock, systemClock } from "./clock.ts";
import { runReflector } from "./reflector.ts";
import { type ChangeListener, createStore, type Indexes } from "./store.ts";

export interface InformerOptions<T extends KubeObject> extends Selection {
  readonly indexes?: Indexes<T>;
  readonly log?: Log;
  readonly clock?: Clock;
  /** 0 <= random() < 1; for the jitter of pauses. */
  readonly random?: () => number;
}

/**
 * A local copy of a collection that follows the API server.
 *
 * Guarantees: every object passes through states that it had on the server, in that order, but not
 * necessarily through all of them; a deletion is always told, also one that happened while the connection was down.
 */
export interface Informer<T extends KubeObject = KubeObject> {
  readonly kind: Resource;
  list(): readonly T[];
  get(namespace: string | undefined, name: string): T | undefined;
  /** The objects that an index of the options holds under a key. */
  indexed(index: string, key: string): readonly T[];
  /** The resourceVersion up to which nothing of this collection is missing here; empty before the first list. */
  version(): string;
  /** Calls back after every change; at once with `ADDED` for each object that is already here. */
  onChange(listener: ChangeListener<T>): void;
  /** Fulfilled when the first list is here. Never, if the informer is closed before. */
  readonly synced: Promise<void>;
  /** Takes over the answer to a write of ours, so that we do not act on older news. */
  absorb(object: T): void;
  /** Takes an object out that a delete of ours has removed for good. */
  forget(object: T): void;
  close(): void;
}

/** Starts to list and watch a collection. */
export function createInformer<T extends KubeObject = KubeObject>(
  client: Client,
  kind: Resource,
  options: InformerOptions<T> = {},
): Informer<T> {
  const { indexes = {}, log = silentLog, clock = systemClock, random = Math.random, ...selection } = options;
  const store = createStore<T>(indexes);
  const ending = new AbortController();
  const { promise: synced, resolve: onSynced } = Promise.withResolvers<void>();
  const { signal } = ending;
  void runReflector({ client, kind, selection, store, clock, random, log, signal, onSynced });
  return {
    kind,
    synced,
    list: store.list,
    get: store.get,
    indexed: store.indexed,
    version: store.version,
    onChange: store.onChange,
    absorb: store.absorb,
    forget: store.forget,
    close: () => ending.abort(),
  };
}

import type { KubeObject } from "#kube";

/**
 * What the API server asks of a store: objects by resource, namespace and name under one counter of
 * revisions, and the history of changes for watches. Calls are synchronous, so a read followed by a
 * write in the same turn is atomic. `createMemoryStore` is the first implementation;
 * `store.contract.ts` states what any other one must hold.
 */
export interface Store {
  /** The revision of the latest change. */
  revision(): number;
  get(resource: string, namespace: string, name: string): KubeObject | undefined;
  /**
   * Objects of a resource ordered by namespace, then name (by code unit). `at` asks for the state at an
   * earlier revision. Throws `HistoryExpired` when that state is no longer known.
   */
  list(resource: string, namespace?: string, at?: number): readonly KubeObject[];
  /** Number of objects of a resource. */
  count(resource: string): number;
  /** Stores a new object and stamps its resourceVersion. Throws `Occupied` if the name is taken. */
  create(resource: string, object: KubeObject): KubeObject;
  /** Replaces an object and stamps its resourceVersion. Throws `Missing` if there is none. */
  update(resource: string, object: KubeObject): KubeObject;
  /** Removes an object; watchers see its last state with the revision of the removal. */
  remove(resource: string, namespace: string, name: string): KubeObject | undefined;
  /**
   * Calls `listener` for every later change (of one namespace, if given), after replaying those since
   * `after`. Throws `HistoryExpired` when changes after that revision are no longer known.
   */
  watch(
    resource: string,
    namespace: string | undefined,
    after: number,
    listener: (change: Change) => void,
  ): Subscription;
}

export interface Change {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly resource: string;
  readonly revision: number;
  readonly object: KubeObject;
  readonly previous?: KubeObject;
}

export interface Subscription {
  close(): void;
}

export class HistoryExpired extends Error {
  readonly requested: number;
  /** The oldest revision from which changes are still known. */
  readonly oldest: number;

  constructor(requested: number, oldest: number) {
    super(`revision ${requested} is older than the history, which begins at ${oldest}`);
    this.requested = requested;
    this.oldest = oldest;
  }
}

export class Occupied extends Error {}
export class Missing extends Error {}

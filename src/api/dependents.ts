import type { KindInfo, KubeObject } from "#kube";

/** A stored object with its kind. */
export interface Stored {
  readonly kind: KindInfo;
  readonly object: KubeObject;
}

/** Objects by uid, and the objects that each uid owns. */
export interface Dependents {
  note(kind: KindInfo, object: KubeObject, gone: boolean): void;
  get(uid: string): Stored | undefined;
  of(owner: string): readonly Stored[];
}

export function createDependents(): Dependents {
  const byUid = new Map<string, Stored>();
  const byOwner = new Map<string, Set<string>>();
  return {
    note: (kind, object, gone) => {
      const uid = object.metadata?.uid ?? "";
      for (const owner of byUid.get(uid)?.object.metadata?.ownerReferences ?? []) {
        const set = byOwner.get(owner.uid);
        set?.delete(uid);
        if (set?.size === 0) byOwner.delete(owner.uid);
      }
      if (gone) {
        byUid.delete(uid);
        return;
      }
      byUid.set(uid, { kind, object });
      for (const owner of object.metadata?.ownerReferences ?? []) {
        const set = byOwner.get(owner.uid) ?? new Set();
        byOwner.set(owner.uid, set.add(uid));
      }
    },
    get: (uid) => byUid.get(uid),
    of: (owner) => [...(byOwner.get(owner) ?? [])].flatMap((uid) => byUid.get(uid) ?? []),
  };
}

import type { KindInfo, KubeObject } from "#kube";
import { eventFromCore, eventToCore } from "./events.ts";

/** Where the objects of a kind are kept, and how they look there. */
export interface Storage {
  /** Key of the store: `deployments.apps`, `pods`. */
  readonly resource: string;
  /** False for a kind that shows another kind's objects. */
  readonly primary: boolean;
  readonly toStored: (object: KubeObject) => KubeObject;
  readonly fromStored: (object: KubeObject) => KubeObject;
}

const same = (object: KubeObject): KubeObject => object;

/** Kinds that are a view of another kind's objects. */
const VIEWS: Readonly<Record<string, Storage>> = {
  "events.events.k8s.io": {
    resource: "events",
    primary: false,
    toStored: eventToCore,
    fromStored: eventFromCore,
  },
};

const known = new WeakMap<KindInfo, Storage>();

/** The storage of a kind. */
export function storageOf(kind: KindInfo): Storage {
  let storage = known.get(kind);
  if (storage === undefined) {
    const resource = kind.group === "" ? kind.plural : `${kind.plural}.${kind.group}`;
    storage = VIEWS[resource] ?? { resource, primary: true, toStored: same, fromStored: same };
    known.set(kind, storage);
  }
  return storage;
}

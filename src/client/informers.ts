import type { KubeObject, Resource } from "#kube";
import type { Log } from "#lib/log";
import type { Client, Selection } from "./client.ts";
import { type Clock, systemClock } from "./clock.ts";
import { createInformer, type Informer } from "./informer.ts";
import type { Indexes } from "./store.ts";

/** Informers that several users of one client share: one watch for each collection. */
export interface Informers {
  /** The informer of a collection; the same one for the same kind and selection. */
  of<T extends KubeObject = KubeObject>(kind: Resource, selection?: Selection): Informer<T>;
  close(): void;
}

export interface InformersOptions {
  readonly log?: Log;
  readonly clock?: Clock;
}

const common: Indexes<KubeObject> = {
  namespace: (object) => [object.metadata?.namespace ?? ""],
  /** UID of the controlling owner. */
  owner: (object) =>
    (object.metadata?.ownerReferences ?? []).filter((owner) => owner.controller).map((owner) => owner.uid),
  /** Namespace of what nobody controls. */
  orphans: (object) =>
    object.metadata?.ownerReferences?.some((owner) => owner.controller)
      ? []
      : [object.metadata?.namespace ?? ""],
};

/** Indexes of a kind beside the common ones, by its plural. Label pairs are written `namespace/name=value`. */
const particular: Readonly<Record<string, Indexes<KubeObject>>> = {
  pods: {
    label: (pod) => pairs(pod, pod.metadata?.labels),
    node: (pod) => [record(pod["spec"])["nodeName"]].filter((name) => typeof name === "string"),
  },
  // One pair of the selector is enough to find the few Services that can select a pod.
  services: {
    selector: (service) =>
      pairs(service, record(record(service["spec"])["selector"]))
        .toSorted()
        .slice(0, 1),
  },
};

function pairs(object: KubeObject, labels: Readonly<Record<string, unknown>> | undefined): string[] {
  const namespace = object.metadata?.namespace ?? "";
  return Object.entries(labels ?? {}).map(([name, value]) => `${namespace}/${name}=${String(value)}`);
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

/** Starts informers as they are asked for. */
export function createInformers(client: Client, options: InformersOptions = {}): Informers {
  const started = new Map<string, Informer>();
  return {
    of: <T extends KubeObject>(kind: Resource, selection: Selection = {}) => {
      const { namespace, labelSelector, fieldSelector } = selection;
      const key = [kind.group, kind.plural, namespace, labelSelector, fieldSelector].join("|");
      const informer =
        started.get(key) ??
        createInformer(client, kind, {
          ...selection,
          indexes: { ...common, ...particular[kind.plural] },
          clock: options.clock ?? systemClock,
          ...(options.log === undefined ? {} : { log: options.log }),
        });
      started.set(key, informer);
      // The server has validated the objects of this kind; `T` is the caller's view of its schema.
      return informer as unknown as Informer<T>;
    },
    close: () => {
      for (const informer of started.values()) informer.close();
      started.clear();
    },
  };
}

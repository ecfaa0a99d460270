import type { PodModel } from "./types.ts";

/** Finds pods by namespace and labels without looking at every pod. */
export interface PodIndex {
  /** Names of the namespaces that have pods. */
  namespaces(): Iterable<string>;
  inNamespace(namespace: string): readonly PodModel[];
  /** Pods that carry all these labels; none for an empty selector, as in a Service. */
  matching(namespace: string, selector: Readonly<Record<string, string>>): readonly PodModel[];
}

/** Whether a Service's selector selects these labels. An empty one selects nothing: the endpoints are somebody else's. */
export function selects(
  selector: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>>,
): boolean {
  const pairs = Object.entries(selector);
  return pairs.length > 0 && pairs.every(([key, value]) => labels[key] === value);
}

export function indexPods(pods: Iterable<PodModel>): PodIndex {
  const namespaces = new Map<string, PodModel[]>();
  const labels = new Map<string, PodModel[]>();
  for (const pod of pods) {
    add(namespaces, pod.namespace, pod);
    for (const [key, value] of Object.entries(pod.labels))
      add(labels, labelKey(pod.namespace, key, value), pod);
  }
  return {
    namespaces: () => namespaces.keys(),
    inNamespace: (namespace) => namespaces.get(namespace) ?? [],
    matching: (namespace, selector) => {
      const [first] = Object.entries(selector);
      if (first === undefined) return [];
      const candidates = labels.get(labelKey(namespace, first[0], first[1])) ?? [];
      return candidates.filter((pod) => selects(selector, pod.labels));
    },
  };
}

function add(index: Map<string, PodModel[]>, key: string, pod: PodModel): void {
  const list = index.get(key);
  if (list === undefined) index.set(key, [pod]);
  else list.push(pod);
}

function labelKey(namespace: string, key: string, value: string): string {
  return `${namespace} ${key}=${value}`;
}

import { conditionOf, nameOf, type Pod, type Service, uidOf } from "./objects.ts";

/** When what a slice now says began to be true; its age at the proxy is the network programming latency. */
export const triggerAnnotation = "endpoints.kubernetes.io/last-change-trigger-time";

/** Remembers which changes of which Service were counted already. */
export interface TriggerTimes {
  /** The earliest change of the Service and its pods since the last call; undefined if none is new. */
  next(key: string, service: Service, pods: readonly Pod[]): string | undefined;
  forget(key: string): void;
}

export function createTriggerTimes(): TriggerTimes {
  const known = new Map<string, ReadonlyMap<string, string>>();
  return {
    next: (key, service, pods) => {
      const before = known.get(key) ?? new Map<string, string>();
      const times = new Map([
        [uidOf(service), service.metadata?.creationTimestamp ?? ""],
        ...pods.map((pod) => [nameOf(pod), conditionOf(pod, "Ready")?.lastTransitionTime ?? ""] as const),
      ]);
      known.set(key, times);
      return [...times]
        .filter(([name, time]) => time > (before.get(name) ?? ""))
        .map(([, time]) => time)
        .toSorted()[0];
    },
    forget: (key) => void known.delete(key),
  };
}

/**
 * The two waits that make rolling updates lose nothing: a pod ends only after all data planes know its endpoints as
 * gone, and counts as ready only after all of them know its endpoints as there. What each data plane knows stands in
 * its Lease. Both waits are bounded.
 */
import type { Clock, ProgrammedWatch } from "#client";
import { selects, type Endpoint, type ServiceModel, type Snapshot, type SnapshotSource } from "#model";

/** Who a pod is for its Services. */
export interface ServedPod {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Rollout {
  /**
   * Resolves when no data plane sends new connections to the pod any more, and those just on their way have arrived; at
   * the latest after `withinMs`. At once for a pod without Services. The result says whom it did not wait for any longer.
   */
  leave(pod: ServedPod, withinMs: number): Promise<readonly string[]>;
  /** Resolves when every data plane knows the pod as an endpoint of its Services, or after 10 s, or at the signal. */
  arrive(pod: ServedPod, signal: AbortSignal): Promise<readonly string[]>;
}

/** A connection whose first packet met the old rules is answered by then, milliseconds. */
const SETTLE_MS = 200;
const LONGEST_ARRIVAL_MS = 10_000;
const SLICES = "the EndpointSlices of its Services";

export function createRollout(source: SnapshotSource, programmed: ProgrammedWatch, clock: Clock): Rollout {
  /** Waits for a snapshot that is so, then for the data planes to be as far. */
  const follow = async (
    isSo: (snapshot: Snapshot) => boolean,
    withinMs: number,
    signal?: AbortSignal,
  ): Promise<readonly string[]> => {
    const deadline = clock.now() + withinMs;
    const snapshot = await untilSnapshot(source, clock, isSo, withinMs, signal);
    if (snapshot === undefined) return [SLICES];
    return programmed.reached(snapshot.endpointsVersion ?? "", deadline - clock.now(), signal);
  };
  return {
    async leave(pod, withinMs) {
      const deadline = clock.now() + withinMs;
      if (servicesOf(source.current(), pod).length === 0) return [];
      const missing = await follow((snapshot) => !isOffered(snapshot, pod), withinMs);
      const rest = Math.min(SETTLE_MS, deadline - clock.now());
      if (rest > 0) await new Promise<void>((resolve) => clock.setTimer(rest, resolve));
      return missing;
    },
    arrive: async (pod, signal) =>
      servicesOf(source.current(), pod).length === 0
        ? []
        : follow((snapshot) => hasArrived(snapshot, pod), LONGEST_ARRIVAL_MS, signal),
  };
}

/** Services whose endpoints the pod belongs to. */
function servicesOf(snapshot: Snapshot, pod: ServedPod): ServiceModel[] {
  return [...snapshot.services.values()].filter(
    ({ type, namespace, selector }) =>
      type !== "ExternalName" && namespace === pod.namespace && selects(selector, pod.labels),
  );
}

function endpointsOf({ ports, portlessEndpoints = [] }: ServiceModel, pod: ServedPod): Endpoint[] {
  return [...ports.flatMap(({ endpoints }) => endpoints), ...portlessEndpoints].filter(
    (endpoint) => endpoint.pod?.name === pod.name && endpoint.pod.namespace === pod.namespace,
  );
}

/** Whether a Service offers the pod to new connections, other than as the last resort when all its pods end. */
function isOffered(snapshot: Snapshot, pod: ServedPod): boolean {
  return servicesOf(snapshot, pod).some((service) =>
    endpointsOf(service, pod).some(({ ready, terminating }) => ready && !terminating),
  );
}

/** Whether every Service that the pod has a port of, offers it. */
function hasArrived(snapshot: Snapshot, pod: ServedPod): boolean {
  const named = snapshot.pods.get(`${pod.namespace}/${pod.name}`)?.ports ?? [];
  return servicesOf(snapshot, pod)
    .filter(({ ports }) =>
      ports.some(
        ({ targetPort }) => typeof targetPort === "number" || named.some(({ name }) => name === targetPort),
      ),
    )
    .every((service) => endpointsOf(service, pod).some(({ ready }) => ready));
}

/** The current snapshot if it is so, else the first later one that is; undefined after the time or at the signal. */
function untilSnapshot(
  source: SnapshotSource,
  clock: Clock,
  isSo: (snapshot: Snapshot) => boolean,
  withinMs: number,
  signal?: AbortSignal,
): Promise<Snapshot | undefined> {
  const current = source.current();
  if (isSo(current)) return Promise.resolve(current);
  return new Promise((resolve) => {
    const end = (snapshot?: Snapshot): void => {
      cancel();
      unsubscribe();
      signal?.removeEventListener("abort", stop);
      resolve(snapshot);
    };
    const stop = (): void => end();
    const cancel = clock.setTimer(withinMs, stop);
    const unsubscribe = source.subscribe((snapshot) => {
      if (isSo(snapshot)) end(snapshot);
    });
    signal?.addEventListener("abort", stop);
    if (signal?.aborted === true) stop();
  });
}

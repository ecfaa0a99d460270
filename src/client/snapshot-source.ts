import { kindByPlural, type KubeObject } from "#kube";
import { messageOf } from "#lib/errors";
import { type Log, silentLog } from "#lib/log";
import { type ClusterObjects, compile, type Snapshot, type SnapshotSource } from "#model";
import type { Client } from "./client.ts";
import { type Clock, systemClock } from "./clock.ts";
import { createInformers, type Informers } from "./informers.ts";

export interface SnapshotSourceOptions {
  /** Cluster domain, `cluster.local`. */
  readonly domain: string;
  /** `spec.controller` of the IngressClasses that are ours. */
  readonly controllerName?: string;
  /** Plural names of the only kinds to watch (`services`, `endpointslices`); the others count as empty. */
  readonly only?: readonly string[];
  /** Share these instead of starting own ones; they are not closed by `close` then. */
  readonly informers?: Informers;
  readonly log?: Log;
  readonly clock?: Clock;
}

interface Part {
  readonly field: keyof ClusterObjects;
  readonly group: string;
  readonly plural: string;
  readonly fieldSelector?: string;
  /** Older clusters do not serve it: nothing waits for it. */
  readonly optional?: true;
}

/** Where each part of the model comes from. */
const parts: readonly Part[] = [
  { field: "nodes", group: "", plural: "nodes" },
  { field: "pods", group: "", plural: "pods" },
  { field: "services", group: "", plural: "services" },
  { field: "endpointSlices", group: "discovery.k8s.io", plural: "endpointslices" },
  { field: "serviceCIDRs", group: "networking.k8s.io", plural: "servicecidrs", optional: true },
  { field: "ingresses", group: "networking.k8s.io", plural: "ingresses" },
  { field: "ingressClasses", group: "networking.k8s.io", plural: "ingressclasses" },
  { field: "networkPolicies", group: "networking.k8s.io", plural: "networkpolicies" },
  // Certificates only: other secrets are none of our business.
  { field: "secrets", group: "", plural: "secrets", fieldSelector: "type=kubernetes.io/tls" },
  { field: "namespaces", group: "", plural: "namespaces" },
];

/** Shortest time between two compilations, milliseconds. */
const interval = 20;

export interface LiveSnapshotSource extends SnapshotSource {
  /** Fulfilled when all kinds are listed and the first snapshot is compiled; before, `current()` is empty. */
  readonly synced: Promise<void>;
  close(): void;
}

/**
 * Snapshots of a cluster that follow its changes: a change is compiled on the next turn of the event loop, and
 * those that come within the following 20 ms together at their end.
 */
export function createSnapshotSource(client: Client, options: SnapshotSourceOptions): LiveSnapshotSource {
  const { only, log = silentLog, clock = systemClock } = options;
  const informers = options.informers ?? createInformers(client, { log, clock });
  const listeners = new Set<(snapshot: Snapshot) => void>();
  const watched = parts
    .filter(({ plural }) => only === undefined || only.includes(plural))
    .map((part) => ({
      field: part.field,
      optional: part.optional === true,
      informer: informers.of(kindFor(part), part.fieldSelector ? { fieldSelector: part.fieldSelector } : {}),
    }));
  const { promise: synced, resolve } = Promise.withResolvers<void>();
  let ready = false;
  let closed = false;

  const informerOf = (field: keyof ClusterObjects) => watched.find((one) => one.field === field)?.informer;
  const build = (): Snapshot => {
    const compiled = compile(
      collect((field) => informerOf(field)?.list() ?? []),
      {
        domain: options.domain,
        ...(options.controllerName === undefined ? {} : { controllerName: options.controllerName }),
      },
    );
    const endpointsVersion = informerOf("endpointSlices")?.version();
    return endpointsVersion === undefined ? compiled : { ...compiled, endpointsVersion };
  };
  let snapshot = compile(
    collect(() => []),
    { domain: options.domain },
  );
  const trigger = coalesce(clock, () => {
    if (closed) return;
    snapshot = build();
    for (const listener of listeners) tell(listener, snapshot, log);
  });
  for (const { informer } of watched) {
    informer.onChange(() => {
      if (ready) trigger.fire();
    });
  }
  const awaited = watched.filter(({ optional }) => !optional);
  void Promise.all(awaited.map(({ informer }) => informer.synced)).then(() => {
    if (closed) return;
    ready = true;
    trigger.now();
    resolve();
  });
  return {
    synced,
    current: () => snapshot,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close: () => {
      closed = true;
      trigger.cancel();
      listeners.clear();
      if (options.informers === undefined) informers.close();
    },
  };
}

/** One listener's failure must not keep the snapshot from the others. */
function tell(listener: (snapshot: Snapshot) => void, snapshot: Snapshot, log: Log): void {
  try {
    listener(snapshot);
  } catch (error) {
    log.error(`a user of the snapshot failed: ${messageOf(error)}`);
  }
}

function kindFor({ group, plural }: Part) {
  const kind = kindByPlural(group, "v1", plural);
  if (kind === undefined) throw new Error(`no such kind: ${plural}`);
  return kind;
}

function collect(list: (field: keyof ClusterObjects) => readonly KubeObject[]): ClusterObjects {
  return {
    nodes: list("nodes"),
    pods: list("pods"),
    services: list("services"),
    endpointSlices: list("endpointSlices"),
    serviceCIDRs: list("serviceCIDRs"),
    ingresses: list("ingresses"),
    ingressClasses: list("ingressClasses"),
    networkPolicies: list("networkPolicies"),
    secrets: list("secrets"),
    namespaces: list("namespaces"),
  };
}

/** Calls `run` on the next turn of the loop after `fire`, but not more often than every `interval` milliseconds. */
function coalesce(clock: Clock, run: () => void) {
  let last = -Infinity;
  let cancel: (() => void) | undefined;
  const now = (): void => {
    cancel = undefined;
    last = clock.now();
    run();
  };
  return {
    now,
    fire: (): void => {
      if (cancel !== undefined) return;
      const wait = last + interval - clock.now();
      if (wait > 0) {
        cancel = clock.setTimer(wait, now);
      } else {
        const turn = setImmediate(now);
        cancel = () => clearImmediate(turn);
      }
    },
    cancel: (): void => cancel?.(),
  };
}

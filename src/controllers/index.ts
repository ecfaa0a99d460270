/** The door of the controllers: what makes a cluster's objects follow each other. */
import type { Log } from "#lib/log";
import {
  type Client,
  type Clock,
  type Controller,
  type ControllerMetrics,
  createInformers,
  createSnapshotSource,
  systemClock,
} from "#client";
import type { AddressPool } from "#model";
import type { Context } from "./context.ts";
import { startDaemonSets } from "./daemon-set.ts";
import { startDeployments } from "./deployment.ts";
import { startDisruption } from "./disruption.ts";
import { startEndpointsMirror } from "./endpoints-mirror.ts";
import { startEndpointSlices } from "./endpointslice.ts";
import { startFindingEvents } from "./finding-events.ts";
import { startIngressStatus } from "./ingress-status.ts";
import { startNodeLifecycle } from "./node-lifecycle.ts";
import { startPodCollector } from "./pod-collector.ts";
import { startReplicaSets } from "./replicaset.ts";
import { startScheduler } from "./scheduler.ts";
import { startServiceAddresses } from "./service-address.ts";
import { startStatefulSets } from "./stateful-set.ts";
import { startTaintEviction } from "./taint-eviction.ts";

export interface ControllersOptions {
  readonly client: Client;
  readonly log: Log;
  /** Whose addresses Services of type LoadBalancer get. */
  readonly addressPools: readonly AddressPool[];
  /** Cluster domain; `cluster.local` if not given. */
  readonly domain?: string;
  /** `spec.controller` of the IngressClasses that are ours; `inroad.dev/ingress` if not given. */
  readonly controllerName?: string;
  /** `namespace/name` of the ingress controller's Service; `inroad-system/inroad-ingress` if not given. */
  readonly ingressService?: string;
  /** Milliseconds after its last sign of life, or its deletion, that a node counts as lost; 4 s if not given. */
  readonly nodeGrace?: number;
  readonly clock?: Clock;
}

export interface Controllers {
  /** Fulfilled when all informers have their first list. */
  readonly synced: Promise<void>;
  metrics(): readonly ControllerMetrics[];
  /** Resolves when no work is under way any more. */
  close(): Promise<void>;
}

/** Starts all controllers, with one informer per kind for all of them. */
export function startControllers(options: ControllersOptions): Controllers {
  const { client, log, clock = systemClock } = options;
  const informers = createInformers(client, { log, clock });
  const context: Context = { client, informers, clock, log };
  const source = createSnapshotSource(client, {
    domain: options.domain ?? "cluster.local",
    controllerName: options.controllerName ?? "inroad.dev/ingress",
    informers,
    log,
    clock,
  });
  const grace = options.nodeGrace ?? 4000;
  const findings = startFindingEvents(context, source);
  const loops: readonly Controller[] = [
    startDeployments(context),
    startReplicaSets(context),
    startStatefulSets(context),
    startDaemonSets(context),
    startScheduler(context),
    startEndpointSlices(context),
    startEndpointsMirror(context),
    startServiceAddresses(context, options.addressPools),
    startIngressStatus(context, source, options.ingressService ?? "inroad-system/inroad-ingress"),
    startNodeLifecycle(context, grace),
    startPodCollector(context, grace),
    startTaintEviction(context),
    startDisruption(context),
  ];
  return {
    synced: source.synced,
    metrics: () => loops.map((loop) => loop.metrics()),
    close: async () => {
      findings.close();
      source.close();
      await Promise.all(loops.map((loop) => loop.close()));
      informers.close();
    },
  };
}

/**
 * How far a component has programmed its data plane, told to everybody in a Lease of its own (coordination.k8s.io/v1):
 * an annotation names the resourceVersion of the EndpointSlices that is in force, a label makes these Leases findable.
 */
import { kindOf, type KubeObject, type OwnerReference, type Resource } from "#kube";
import { messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import type { Snapshot } from "#model";
import { ApiError } from "./api-error.ts";
import type { Client } from "./client.ts";
import { type Clock, systemClock } from "./clock.ts";
import { isNewer } from "./resource-version.ts";

export const leases: Resource = kindOf("coordination.k8s.io/v1", "Lease") ?? {
  group: "coordination.k8s.io",
  version: "v1",
  kind: "Lease",
  plural: "leases",
  namespaced: true,
};

/** Label of these Leases; its value is the kind of the component: `proxy`, `dns` ... */
export const programsLabel = "inroad.dev/programs";
/** Annotation with the resourceVersion of EndpointSlices up to which the data plane is programmed. */
export const programmedAnnotation = "inroad.dev/programmed";

/** Shortest time between two writes, milliseconds. */
const batchMs = 20;
const renewMs = 1000;
const retryMs = 250;
/** A Lease that was not renewed for so long belongs to nobody who lives. */
const durationSeconds = 4;

export interface ProgrammedLeaseOptions {
  readonly client: Client;
  readonly component: "proxy" | "load-balancer" | "ingress" | "dns";
  readonly namespace: string;
  readonly name: string;
  /** Whose data plane it is: the node or pod. */
  readonly holder: string;
  /** An object of the same namespace that the Lease goes with. */
  readonly owner?: OwnerReference;
  readonly log: Log;
  readonly clock?: Clock;
}

export interface ProgrammedLease {
  /** The data plane is as this snapshot says, or ahead of it. Written soon, several announcements together. */
  announce(snapshot: Pick<Snapshot, "endpointsVersion">): void;
  /** Ends the component's part: the Lease goes, so that nobody waits for it. Never rejects. */
  close(): Promise<void>;
}

/** Keeps the Lease; it comes into being with the first announcement, and a write that fails is tried again. */
export function keepProgrammedLease(options: ProgrammedLeaseOptions): ProgrammedLease {
  const { client, namespace, name, log, clock = systemClock } = options;
  let wanted = "";
  let written = "";
  let pauseMs = 0;
  let lastWrite = -Infinity;
  let cancel: (() => void) | undefined;
  let work: Promise<void> | undefined;
  let closed = false;

  const write = async (): Promise<void> => {
    const version = wanted;
    lastWrite = clock.now();
    try {
      await store(options, version, clock.now());
      written = version;
      pauseMs = batchMs;
    } catch (error) {
      pauseMs = retryMs;
      if (!closed) log.warn(`Lease ${namespace}/${name} not written`, { reason: messageOf(error) });
    }
    work = undefined;
    schedule();
  };
  const schedule = (): void => {
    if (closed || work !== undefined || wanted === "") return;
    cancel?.();
    const at = lastWrite + (wanted === written ? renewMs : pauseMs);
    cancel = clock.setTimer(Math.max(0, at - clock.now()), () => {
      work = write();
    });
  };
  return {
    announce({ endpointsVersion = "" }) {
      if (!isNewer(endpointsVersion, wanted)) return;
      wanted = endpointsVersion;
      schedule();
    },
    async close() {
      closed = true;
      cancel?.();
      await work;
      await client.delete(leases, name, namespace).catch(() => undefined);
    },
  };
}

async function store(options: ProgrammedLeaseOptions, version: string, now: number): Promise<void> {
  const { client, name, namespace } = options;
  const object = leaseObject(options, version, now);
  try {
    await client.patch(leases, name, namespace, object, { type: "merge" });
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    await client.create(leases, object);
  }
}

function leaseObject(options: ProgrammedLeaseOptions, version: string, now: number): KubeObject {
  const { component, namespace, name, holder, owner } = options;
  return {
    metadata: {
      namespace,
      name,
      labels: { [programsLabel]: component },
      annotations: { [programmedAnnotation]: version },
      ...(owner === undefined ? {} : { ownerReferences: [owner] }),
    },
    spec: {
      holderIdentity: holder,
      leaseDurationSeconds: durationSeconds,
      // metav1.MicroTime: always six digits.
      renewTime: new Date(now).toISOString().replace("Z", "000Z"),
    },
  };
}

/** What every component's Worker does first: enter its pod's namespace for good, then reach the API server. */
import { parentPort, type MessagePort } from "node:worker_threads";
import {
  createClient,
  httpsTransport,
  keepProgrammedLease,
  type Client,
  type LiveSnapshotSource,
  type ProgrammedLease,
} from "#client";
import { connectOptions } from "#kernel/sockets";
import { awaitAssignment } from "#kernel/thread";
import type { IpFamily } from "#lib/ip";
import { createLog, type Log } from "#lib/log";

/** What the cluster gives a component at its start. */
export interface ComponentData {
  /** Of the cluster, the primary one first. */
  readonly ipFamilies: readonly IpFamily[];
  readonly pod: { readonly namespace: string; readonly name: string; readonly uid: string };
  readonly domain: string;
  readonly controllerName: string;
  /** `https://10.96.0.1:443`, or the control address for components that must work before Services do. */
  readonly apiServer: string;
  readonly caCertificate: string;
  readonly token: string;
  readonly debugToken: string;
  readonly nameserver: string;
  /** Name servers of the host, `192.0.2.1` or `192.0.2.1:5353`. */
  readonly upstreamDns: readonly string[];
  readonly certificate: { readonly certificate: string; readonly key: string };
  /** To the main thread: see `threads.ts`. */
  readonly line: MessagePort;
}

export interface Component {
  readonly data: ComponentData;
  readonly client: Client;
  readonly log: Log;
  /** Tells the node agent that this pod is ready. */
  ready(): void;
  /** Called once when the pod is to end; the Worker ends when it is done. */
  onStop(stop: () => Promise<void>): void;
}

/** Waits for the pod, enters its network namespace and returns what the component works with. Call it first, once. */
export async function enterPod(): Promise<Component> {
  if (parentPort === null) throw new Error("this script runs as a Worker");
  const port = parentPort;
  // The cluster's own words (components.ts), so their shape is known.
  const data = (await awaitAssignment()) as ComponentData;
  return {
    data,
    client: createClient(
      httpsTransport({
        server: data.apiServer,
        ca: data.caCertificate,
        token: data.token,
        connect: connectOptions,
      }),
    ),
    log: createLog(data.pod.name, (line) => port.postMessage({ kind: "log", line })),
    ready: () => port.postMessage({ kind: "ready", ready: true }),
    onStop: (stop) =>
      port.once("message", () => {
        void stop().finally(() => process.exit(0));
      }),
  };
}

/**
 * Keeps the Lease that says what this component works with: every snapshot of the source, once those who subscribed
 * before have it. The Lease goes with the pod.
 */
export function announceProgrammed(
  { data: { pod }, client, log }: Component,
  component: "ingress" | "dns",
  source: LiveSnapshotSource,
): ProgrammedLease {
  const { namespace, name, uid } = pod;
  const owner = { apiVersion: "v1", kind: "Pod", name, uid };
  const lease = keepProgrammedLease({ client, component, namespace, name, holder: name, owner, log });
  lease.announce(source.current());
  source.subscribe((snapshot) => lease.announce(snapshot));
  return lease;
}

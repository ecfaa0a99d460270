/** What every component's Worker does first: enter its pod's namespace for good, then reach the API server. */
import { parentPort, workerData } from "node:worker_threads";
import { createClient, httpsTransport, type Client } from "#client";
import type { WorkerData } from "#kernel";
import { enterNetNs } from "#kernel/netns";
import { createLog, type Log } from "#lib/log";

/** What the cluster gives a component at its start. */
export interface ComponentData {
  readonly pod: { readonly namespace: string; readonly name: string };
  readonly domain: string;
  readonly controllerName: string;
  /** `https://10.96.0.1:443`, or the control address for components that must work before Services do. */
  readonly apiServer: string;
  readonly caCertificate: string;
  readonly token: string;
  readonly debugToken: string;
  readonly nameserver: string;
  readonly certificate: { readonly certificate: string; readonly key: string };
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

/** Enters the pod's network namespace and returns what the component works with. Call it first, once. */
export function enterPod(): Component {
  if (parentPort === null) throw new Error("this script runs as a Worker");
  const port = parentPort;
  const { ns, data }: { ns?: WorkerData["ns"]; data: ComponentData } = workerData;
  if (ns !== undefined) enterNetNs(ns);
  return {
    data,
    client: createClient(
      httpsTransport({ server: data.apiServer, ca: data.caCertificate, token: data.token }),
    ),
    log: createLog(data.pod.name, (line) => port.postMessage({ kind: "log", line })),
    ready: () => port.postMessage({ kind: "ready", ready: true }),
    onStop: (stop) =>
      port.once("message", () => {
        void stop().finally(() => process.exit(0));
      }),
  };
}

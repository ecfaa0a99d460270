/** Support for tests: controllers on an API server, and a stand-in for the node agents. */
import type { KubeObject } from "#kube";
import { silentLog } from "#lib/log";
import type { AddressPool } from "#model";
import { type Client, type Clock, createClient, createInformers, systemClock, type Transport } from "#client";
import { startControllers } from "./index.ts";
import { isDeleting, isReady, isTerminal, kind, nameOf, namespaceOf, type Pod, wireTime } from "./objects.ts";

export interface TestCluster {
  readonly client: Client;
  /** Objects of a kind, as the API server last told. */
  all(apiVersion: string, name: string): readonly KubeObject[];
  /** Resolves as soon as the check holds; looks again after every change. Fails after 10 s. */
  until(what: string, check: () => boolean): Promise<void>;
  addNode(name: string, extra?: { labels?: Record<string, string>; spec?: object }): Promise<void>;
  /** From now on pods run as if nodes had agents: they become ready, and end when they are deleted. */
  runAgents(observe?: (pod: Pod) => void): void;
  close(): Promise<void>;
}

const watched = [
  ["v1", "Pod"],
  ["v1", "Service"],
  ["v1", "Endpoints"],
  ["v1", "Node"],
  ["v1", "Event"],
  ["apps/v1", "Deployment"],
  ["apps/v1", "ReplicaSet"],
  ["apps/v1", "StatefulSet"],
  ["apps/v1", "DaemonSet"],
  ["policy/v1", "PodDisruptionBudget"],
  ["discovery.k8s.io/v1", "EndpointSlice"],
  ["networking.k8s.io/v1", "Ingress"],
] as const;

export async function startTestCluster(
  transport: Transport,
  options: { readonly clock?: Clock; readonly addressPools?: readonly AddressPool[] } = {},
): Promise<TestCluster> {
  const { clock = systemClock, addressPools = [] } = options;
  const client = createClient(transport);
  const informers = createInformers(client);
  const waiters = new Set<() => void>();
  const controllers = startControllers({ client, log: silentLog, clock, addressPools });
  for (const [version, name] of watched) {
    informers.of(kind(version, name)).onChange(() => {
      for (const look of waiters) look();
    });
  }
  const pods = informers.of<Pod>(kind("v1", "Pod"));
  await controllers.synced;
  return {
    client,
    all: (version, name) => informers.of(kind(version, name)).list(),
    until: (what, check) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiters.delete(look);
          reject(new Error(`not within 10 s: ${what}`));
        }, 10_000);
        const look = (): void => {
          if (!check()) return;
          clearTimeout(timer);
          waiters.delete(look);
          resolve();
        };
        waiters.add(look);
        look();
      }),
    addNode: async (name, { labels = {}, spec = {} } = {}) => {
      const conditions = [{ type: "Ready", status: "True", lastHeartbeatTime: wireTime(clock.now()) }];
      await client.create(kind("v1", "Node"), { metadata: { name, labels }, spec, status: { conditions } });
    },
    runAgents: (observe = () => undefined) => {
      let address = 0;
      pods.onChange((type, pod) => {
        observe(pod);
        if (type === "DELETED" || !pod.spec?.nodeName) return;
        if (isDeleting(pod)) void end(client, pod);
        else if (!isReady(pod) && !isTerminal(pod)) {
          address += 1;
          void makeReady(client, pod, `10.244.0.${address}`, clock);
        }
      });
    },
    close: async () => {
      await controllers.close();
      informers.close();
    },
  };
}

async function makeReady(client: Client, pod: Pod, podIP: string, clock: Clock): Promise<void> {
  const conditions = [{ type: "Ready", status: "True", lastTransitionTime: wireTime(clock.now()) }];
  const status = {
    phase: "Running",
    podIP: pod.status?.podIP ?? podIP,
    podIPs: [{ ip: pod.status?.podIP ?? podIP }],
    conditions,
  };
  await client
    .patch(
      kind("v1", "Pod"),
      nameOf(pod),
      namespaceOf(pod),
      { status },
      { type: "strategic", subresource: "status" },
    )
    .catch(() => undefined);
}

async function end(client: Client, pod: Pod): Promise<void> {
  await client
    .delete(kind("v1", "Pod"), nameOf(pod), namespaceOf(pod), { gracePeriodSeconds: 0 })
    .catch(() => undefined);
}

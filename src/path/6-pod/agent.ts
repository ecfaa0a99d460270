/** The node agent: announces its node, runs the pods bound to it, keeps their status, answers debug questions. */
import { createEventRecorder, createInformer, systemClock } from "#client";
import type { Client, Clock, ProgrammedWatch } from "#client";
import { reachEnd } from "#kernel";
import type { NetPlace } from "#kernel";
import { componentOf, type KubeObject, type Resource } from "#kube";
import { codeOf, messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import type { SnapshotSource } from "#model";
import type { Container, PodStatus } from "kubernetes-types/core/v1.js";
import { commandRunner } from "./command.ts";
import type { CommandSettings } from "./command.ts";
import { componentRunner } from "./component.ts";
import type { Component } from "./component.ts";
import { startDebugServer } from "./debug.ts";
import type { NodeEvidence } from "./debug.ts";
import { serviceVariables } from "./environment.ts";
import { findMapping } from "./mapping.ts";
import type { CommandMapping } from "./mapping.ts";
import { leaseObject, nodeObject, nodeStatus } from "./node-object.ts";
import type { AgentNode } from "./node-object.ts";
import { asPod, podId, specOf } from "./pod-object.ts";
import type { PodId } from "./pod-object.ts";
import { startPod } from "./pod.ts";
import type { Policies, PodContext, PodLife, Sandboxes } from "./pod.ts";
import { targetPorts } from "./ports.ts";
import { createRollout } from "./rollout.ts";
import type { Runner } from "./runner.ts";
import { standInRunner } from "./stand-in.ts";

const core = (kind: string, plural: string, namespaced: boolean): Resource => ({
  group: "",
  version: "v1",
  kind,
  plural,
  namespaced,
});
const pods = core("Pod", "pods", true);
const nodes = core("Node", "nodes", false);
const configMaps = core("ConfigMap", "configmaps", true);
const secrets = core("Secret", "secrets", true);
const leases: Resource = {
  group: "coordination.k8s.io",
  version: "v1",
  kind: "Lease",
  plural: "leases",
  namespaced: true,
};

export interface NodeAgentOptions {
  readonly client: Client;
  /** For target ports of Services, and Service variables of mapped commands. */
  readonly source: SnapshotSource;
  /** What the data planes of the cluster are programmed with. */
  readonly programmed: ProgrammedWatch;
  readonly node: AgentNode;
  readonly ns: NetPlace;
  readonly sandboxes: Sandboxes;
  readonly policy: Policies;
  /** By what `componentOf` says of a pod; runs in the first container of such pods. */
  readonly components: Readonly<Record<string, Component>>;
  readonly commands: readonly CommandMapping[];
  /** Further variables of mapped commands, which win over all others. */
  readonly variables?: CommandSettings["variables"];
  /** A folder of the cluster, writable, for resolver settings of mapped commands. */
  readonly stateDir: string;
  readonly dns: { readonly address: string; readonly domain: string };
  /** Where the debug endpoint gets its answers about connections and routes. */
  readonly evidence: NodeEvidence;
  /** Bearer token of the debug endpoint. */
  readonly debugToken: string;
  readonly log: Log;
  readonly clock?: Clock;
  /** How often the Lease is renewed, and for how long it holds, in seconds. A kubelet's are 10 and 40. */
  readonly lease?: { readonly renewSeconds: number; readonly durationSeconds: number };
}

export interface NodeAgent {
  /** The Node object is there and the pods of the node are being run. */
  readonly ready: Promise<void>;
  /** Ends all pods at once; the API objects stay. */
  close(): Promise<void>;
}

const RETRY_MS = 250;

export function startNodeAgent(options: NodeAgentOptions): NodeAgent {
  const { client, source, node, log, clock = systemClock } = options;
  const recorder = createEventRecorder(client, "kubelet", { log, clock });
  const lives = new Map<string, PodLife>();
  const context = podContext(options, clock, (pod, type, reason, message) => {
    const { namespace, name, uid } = podId(pod);
    recorder.event({ apiVersion: "v1", kind: "Pod", namespace, name, uid }, type, reason, message);
  });
  const ending = new AbortController();
  const informer = createInformer(client, pods, { fieldSelector: `spec.nodeName=${node.name}`, log, clock });
  const debug = startDebugServer({ ...options, pods: () => [...lives.values()] });

  const drop = (life: PodLife): void => {
    lives.delete(life.id.uid);
    life
      .kill()
      .catch((error: unknown) => log.error("pod not ended", { pod: life.id.name, reason: messageOf(error) }));
  };

  const listen = (): void =>
    informer.onChange((type, object) => {
      if (ending.signal.aborted) return;
      const { uid, namespace, name } = podId(object);
      const life = lives.get(uid);
      if (type === "DELETED") {
        if (life !== undefined) drop(life);
      } else if (life !== undefined) {
        life.update(object);
        if (isLost(object) && nodeIsReady()) life.republish();
      } else if (isRunnable(object)) {
        for (const old of lives.values())
          if (old.id.namespace === namespace && old.id.name === name) drop(old);
        lives.set(uid, startPod(object, context));
      }
    });

  const nodeIsReady = (): boolean => source.current().nodes.get(node.name)?.ready === true;
  let wasReady = false;
  const unsubscribe = source.subscribe(() => {
    for (const life of lives.values()) life.refreshPorts();
    const isReady = nodeIsReady();
    // Whoever gave the node up for lost has marked its pods; they were there all the time.
    if (isReady && !wasReady) for (const life of lives.values()) life.republish();
    wasReady = isReady;
  });
  const ready = (async () => {
    await untilDone(() => register(client, node, clock), log, ending.signal);
    listen();
    await informer.synced;
  })();
  ready.catch(() => undefined);
  const heartbeat = startHeartbeat(options, clock, ready);

  return {
    ready,
    async close() {
      ending.abort();
      heartbeat();
      unsubscribe();
      informer.close();
      debug.close();
      await Promise.all([...lives.values()].map((life) => life.kill()));
    },
  };
}

/** A pod that already ran to its end is not started again. */
function isRunnable(object: KubeObject): boolean {
  const phase = asPod(object).status?.phase;
  return phase !== "Succeeded" && phase !== "Failed";
}

/** Marked by the node lifecycle controller, because nothing was heard of the node. */
function isLost(object: KubeObject): boolean {
  const conditions = asPod(object).status?.conditions ?? [];
  return conditions.some(({ type, reason }) => type === "Ready" && reason === "NodeNotReady");
}

function podContext(options: NodeAgentOptions, clock: Clock, onEvent: PodContext["onEvent"]): PodContext {
  const { client, source, node, ns, sandboxes, policy, log } = options;
  return {
    node,
    nodeNs: ns,
    sandboxes,
    policy,
    rollout: createRollout(source, options.programmed, clock),
    clock,
    log,
    onEvent,
    runnerFor: (pod, container) => chooseRunner(options, pod, container),
    targetPorts: (pod) =>
      targetPorts(source.current(), { namespace: podId(pod).namespace, labels: pod.metadata?.labels ?? {} }),
    writeStatus: async ({ namespace, name, uid }, status) => {
      await ignoring([404, 409], () =>
        client.patch(
          pods,
          name,
          namespace,
          { metadata: { uid }, status: forPatch(status) },
          { type: "strategic", subresource: "status" },
        ),
      );
    },
    finishDelete: async ({ namespace, name, uid }: PodId) => {
      await ignoring([404, 409], () =>
        client.delete(pods, name, namespace, { gracePeriodSeconds: 0, preconditions: { uid } }),
      );
    },
  };
}

function chooseRunner(options: NodeAgentOptions, pod: KubeObject, container: Container): Runner {
  const mapping = findMapping(options.commands, pod, container);
  if (mapping !== undefined) return commandRunner(mapping, commandSettings(options));
  const component = options.components[componentOf(pod) ?? ""];
  const isFirst = specOf(pod).containers[0]?.name === container.name;
  return component !== undefined && isFirst ? componentRunner(component) : standInRunner;
}

function commandSettings({
  client,
  source,
  ns,
  stateDir,
  dns,
  variables,
}: NodeAgentOptions): CommandSettings {
  return {
    stateDir,
    dns,
    ...(variables === undefined ? {} : { variables }),
    serviceVariables: (namespace) => linksOf(source, ns, namespace),
    values: async (kind, namespace, name) => {
      const object = await client.get(kind === "Secret" ? secrets : configMaps, name, namespace);
      return object === undefined ? undefined : textValues(kind, object);
    },
  };
}

/** Services of the pod's namespace, and always `default/kubernetes`. */
function linksOf(source: SnapshotSource, ns: NetPlace, namespace: string): Record<string, string> {
  const services = [...source.current().services.values()].filter(
    (service) =>
      service.namespace === namespace || (service.namespace === "default" && service.name === "kubernetes"),
  );
  return Object.assign(
    {},
    ...services.map(({ name, clusterIPs: [address], ports }) =>
      address === undefined ? {} : serviceVariables(name, ports, ({ port }) => reachEnd(ns, address, port)),
    ),
  ) as Record<string, string>;
}

function textValues(kind: "ConfigMap" | "Secret", object: KubeObject): Record<string, string> {
  const data = object["data"];
  const entries = typeof data === "object" && data !== null ? Object.entries(data) : [];
  return Object.fromEntries(
    entries.flatMap(([key, value]: [string, unknown]) =>
      typeof value === "string"
        ? [[key, kind === "Secret" ? Buffer.from(value, "base64").toString() : value]]
        : [],
    ),
  );
}

/** Creates the Node, or takes over one of that name, then sets its status. */
async function register(client: Client, node: AgentNode, clock: Clock): Promise<void> {
  const now = new Date(clock.now()).toISOString().replace(/\.\d+Z$/, "Z");
  const object = nodeObject(node, now);
  const old = await client.get(nodes, node.name);
  if (old === undefined) await client.create(nodes, object);
  else {
    const { labels, annotations } = object.metadata ?? {};
    await client.patch(
      nodes,
      node.name,
      undefined,
      { metadata: { labels, annotations }, spec: object["spec"] },
      { type: "merge" },
    );
  }
  const { addresses, ...others } = nodeStatus(node, now);
  // Addresses are merged by their type, and two InternalIPs would become one: a kubelet replaces the list, too.
  const status = { ...others, addresses: [...addresses, { $patch: "replace" }] };
  await client.patch(nodes, node.name, undefined, { status }, { type: "strategic", subresource: "status" });
}

/** Renews the Lease until the returned function is called. */
function startHeartbeat(
  { client, node, log, lease }: NodeAgentOptions,
  clock: Clock,
  ready: Promise<void>,
): () => void {
  const { renewSeconds, durationSeconds } = lease ?? { renewSeconds: 1, durationSeconds: 4 };
  let closed = false;
  let cancel: (() => void) | undefined;
  const beat = async (): Promise<void> => {
    const object = leaseObject(node.name, durationSeconds, clock.now());
    try {
      const patch = { spec: object["spec"] };
      await client
        .patch(leases, node.name, "kube-node-lease", patch, { type: "merge" })
        .catch((error: unknown) => {
          if (statusOf(error) !== 404) throw error;
          return client.create(leases, object);
        });
    } catch (error) {
      if (!closed) log.warn(`lease of ${node.name} not renewed`, { reason: messageOf(error) });
    }
    if (!closed) cancel = clock.setTimer(renewSeconds * 1000, () => void beat());
  };
  void ready.then(beat, () => undefined);
  return () => {
    closed = true;
    cancel?.();
  };
}

async function untilDone(action: () => Promise<void>, log: Log, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await action();
      return;
    } catch (error) {
      log.warn("node not registered yet, trying again", { reason: messageOf(error), code: codeOf(error) });
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/** Strategic merge keeps what a patch leaves out, so an old reason must be taken back by name. */
function forPatch(status: PodStatus): Record<string, unknown> {
  const conditions = status.conditions?.map((one) => ({ reason: null, message: null, ...one }));
  return { ...status, conditions };
}

/** Answers of the API that mean: the object is not ours any more. */
async function ignoring(statuses: readonly number[], action: () => Promise<unknown>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (!statuses.includes(statusOf(error) ?? 0)) throw error;
  }
}

function statusOf(error: unknown): number | undefined {
  if (typeof error !== "object" || error === null || !("status" in error)) return undefined;
  return typeof error.status === "number" ? error.status : undefined;
}

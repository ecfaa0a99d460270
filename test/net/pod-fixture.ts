/** Two nodes with their agents on an API server in this process; no scheduler: pods name their node. */
import { mkdtempSync, rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createApiServer } from "#api";
import { createClient, createSnapshotSource, watchProgrammed } from "#client";
import type { Client, Clock } from "#client";
import { conntrack, routeGet, tcpConnect } from "#kernel";
import type { NetNs } from "#kernel";
import { kindOf, kinds } from "#kube";
import type { KubeObject, Resource } from "#kube";
import { silentLog } from "#lib/log";
import type { IpFamily, SnapshotSource } from "#model";
import { networkSettings, startNodes } from "#path/node";
import type { NodeNetwork } from "#path/node";
import { startNodeAgent } from "#path/pod";
import type { CommandMapping, Component } from "#path/pod";
import type { Pod } from "kubernetes-types/core/v1.js";
import { identity } from "./node-fixture.ts";

export const debugToken = "debug-token";

/** Pods are called by their name, or `NAMESPACE/NAME` outside of `default`. */
export interface PodWorld {
  readonly client: Client;
  readonly source: SnapshotSource;
  node(name: string): NodeNetwork;
  create(pod: object): Promise<void>;
  apply(kind: Resource, object: KubeObject): Promise<void>;
  get(name: string): Promise<Pod | undefined>;
  /** Waits (with a limit) until the pod is as wanted. */
  until(name: string, what: string, holds: (pod: Pod | undefined) => boolean): Promise<Pod | undefined>;
  ready(name: string): Promise<{ address: string; pod: Pod }>;
  remove(name: string, gracePeriodSeconds?: number): Promise<void>;
  close(): Promise<void>;
}

export function resource(apiVersion: string, kind: string): Resource {
  const found = kindOf(apiVersion, kind);
  if (found === undefined) throw new Error(`no kind ${apiVersion} ${kind}`);
  return found;
}

const pods = resource("v1", "Pod");

export async function startWorld(options: {
  commands?: readonly CommandMapping[];
  components?: Readonly<Record<string, Component>>;
  /** In place of the node's own. */
  policy?: (node: NodeNetwork) => NodeNetwork["policy"];
  clock?: Clock;
  families?: readonly IpFamily[];
  /** Of node-a. */
  podCIDR?: string;
}): Promise<PodWorld> {
  const { families = ["IPv4"] } = options;
  const stateDir = mkdtempSync(join(tmpdir(), "inroad-pods-"));
  const api = createApiServer({
    serviceCIDRs: ["10.96.0.0/16"],
    nodePorts: { first: 30000, last: 32767 },
    kinds,
    log: silentLog,
    authenticate: { tokens: new Map() },
    debugToken,
    kubernetesEndpoint: { address: "172.30.0.1", port: 6443 },
  });
  const client = createClient(api.transport({ name: "test", groups: ["system:masters"] }));
  const source = createSnapshotSource(client, { domain: "cluster.local" });
  await source.synced;
  const programmed = watchProgrammed(client);
  const usual = identity("node-a", 0, families);
  const { podCIDR } = options;
  const nodeA = podCIDR === undefined ? usual : { ...usual, podCIDR, podCIDRs: [podCIDR] };
  const network = startNodes({
    nodes: [nodeA, identity("node-b", 1, families)],
    source,
    log: silentLog,
    settings: networkSettings(families, "vxlan"),
  });
  await network.ready;
  const agents = [...network.nodes.values()].map((nodeNetwork) => {
    const { node, ns, sandboxes, annotations } = nodeNetwork;
    return startNodeAgent({
      client,
      source,
      programmed,
      node: { ...node, annotations },
      ns,
      sandboxes,
      evidence: {
        connections: (filter) => conntrack(ns, filter),
        route: (address) => routeGet(ns, address),
      },
      policy: options.policy?.(nodeNetwork) ?? nodeNetwork.policy,
      components: options.components ?? {},
      commands: options.commands ?? [],
      stateDir,
      dns: { address: "10.96.0.10", domain: "cluster.local" },
      debugToken,
      log: silentLog,
      ...(options.clock === undefined ? {} : { clock: options.clock }),
    });
  });
  await Promise.all(agents.map((agent) => agent.ready));

  const get = (pod: string): Promise<Pod | undefined> =>
    client.get(pods, ...nameOf(pod)) as Promise<Pod | undefined>;
  const until: PodWorld["until"] = async (name, what, holds) => {
    const deadline = Date.now() + 12_000;
    for (;;) {
      const pod = await get(name);
      if (holds(pod)) return pod;
      if (Date.now() > deadline)
        throw new Error(`pod ${name} not ${what}: ${JSON.stringify(pod?.status, null, 1)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  return {
    client,
    source,
    node(name) {
      const found = network.nodes.get(name);
      if (found === undefined) throw new Error(name);
      return found;
    },
    async create(pod) {
      await client.create(pods, pod as KubeObject);
    },
    async apply(kind, object) {
      await client.create(kind, object);
    },
    get,
    until,
    async ready(name) {
      const pod = await until(name, "ready", isReady);
      const address = pod?.status?.podIP;
      if (pod === undefined || address === undefined) throw new Error("no address");
      return { pod, address };
    },
    async remove(name, gracePeriodSeconds) {
      await client.delete(
        pods,
        ...nameOf(name),
        gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds },
      );
    },
    async close() {
      await Promise.all(agents.map((agent) => agent.close()));
      programmed.close();
      source.close();
      await network.close();
      api.close();
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

function nameOf(pod: string): [name: string, namespace: string] {
  const [first = "", second] = pod.split("/");
  return second === undefined ? [first, "default"] : [second, first];
}

export function isReady(pod: Pod | undefined): boolean {
  return pod?.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
}

/** A pod of one container, on node-a unless told otherwise. */
export function podOf(
  name: string,
  container: object = {},
  spec: object = {},
  metadata: object = {},
): object {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", labels: { app: name }, ...metadata },
    spec: {
      nodeName: "node-a",
      containers: [{ name: "app", image: "example/app:1", ports: [{ containerPort: 8080 }], ...container }],
      ...spec,
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** One HTTP request out of a namespace. */
export function ask(
  from: NetNs,
  address: string,
  port: number,
  path: string,
  options: { method?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      path,
      method: options.method ?? "GET",
      headers: { host: address, connection: "close", ...options.headers },
      createConnection: () => tcpConnect(from, address, port),
    });
    request.on("error", reject);
    request.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      response.on("error", reject);
    });
    request.end();
  });
}

/** Two nodes with three pods each, of both address families, and a snapshot source that is set by hand. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { tcpConnect, tcpListener, type NetNs } from "#kernel";
import { silentLog } from "#lib/log";
import { compile } from "#model";
import type { IpFamily, NodeModel, Overlay, PodModel, Snapshot, SnapshotSource } from "#model";
import { networkSettings, startNodes } from "#path/node";
import type { NodeIdentity, NodeNetwork, NodesHandle, Sandbox } from "#path/node";

export const empty: Snapshot = compile(
  {
    nodes: [],
    pods: [],
    services: [],
    endpointSlices: [],
    ingresses: [],
    ingressClasses: [],
    secrets: [],
    namespaces: [],
  },
  { domain: "cluster.local" },
);

/** The n-th node, from 0. */
export function identity(name: string, n: number, families: readonly IpFamily[]): NodeIdentity {
  const address = `172.30.0.${11 + n}`;
  const podCIDR = `10.244.${n}.0/24`;
  const dual = families.includes("IPv6");
  return {
    name,
    address,
    addresses: dual ? [address, `fd00:172:30::${11 + n}`] : [address],
    podCIDR,
    podCIDRs: dual ? [podCIDR, `fd00:10:244:${n}::/64`] : [podCIDR],
  };
}

export interface NodeWorld {
  readonly network: NodesHandle;
  readonly source: SnapshotSource & { set(snapshot: Snapshot): void };
  /** Milliseconds until everything was there. */
  readonly startMs: number;
  node(name: string): NodeNetwork;
  pod(name: string): Sandbox;
  pods(): readonly Sandbox[];
  /** The nodes as their Node objects would be read. */
  models(): ReadonlyMap<string, NodeModel>;
  /** The snapshot with all nodes and pods. */
  snapshot(): Snapshot;
  close(): Promise<void>;
}

/** Pods `a1` to `a3` on node-a, `b1` to `b3` on node-b, and so on if there are more nodes. */
export async function startNodeWorld(
  overlay: Overlay,
  families: readonly IpFamily[],
  nodes: readonly string[] = ["node-a", "node-b"],
): Promise<NodeWorld> {
  const started = performance.now();
  const source = manualSource();
  const network = startNodes({
    nodes: nodes.map((name, n) => identity(name, n, families)),
    source,
    log: silentLog,
    settings: networkSettings(families, overlay),
  });
  const node = (name: string): NodeNetwork => {
    const found = network.nodes.get(name);
    assert.ok(found, name);
    return found;
  };
  await network.ready;
  const models = (): ReadonlyMap<string, NodeModel> =>
    new Map([...network.nodes.values()].map((one) => [one.node.name, modelOf(one, overlay)]));
  source.set({ ...empty, nodes: models() });
  const sandboxes = new Map<string, Sandbox>();
  await Promise.all(
    nodes.flatMap(podNames).map(async (name) => {
      const on = node(`node-${name.slice(0, 1)}`);
      sandboxes.set(name, await on.sandboxes.create({ namespace: "default", name, uid: `uid-${name}` }));
    }),
  );
  await network.settled();
  return {
    network,
    source,
    startMs: performance.now() - started,
    node,
    pod(name) {
      const found = sandboxes.get(name);
      assert.ok(found, name);
      return found;
    },
    pods: () => [...sandboxes.values()],
    models,
    snapshot: () => {
      const pods = [...sandboxes].map(([name, { addresses }]) => podModel(name, addresses));
      const byAddress = pods.flatMap((pod) => pod.addresses.map((address) => [address, pod] as const));
      return { ...empty, nodes: models(), podsByAddress: new Map(byAddress) };
    },
    async close() {
      for (const name of sandboxes.keys())
        await node(`node-${name.slice(0, 1)}`).sandboxes.remove({
          namespace: "default",
          name,
          uid: `uid-${name}`,
        });
      await network.close();
    },
  };
}

function podNames(node: string): string[] {
  return [1, 2, 3].map((number) => `${node.replace("node-", "")}${number}`);
}

function manualSource(): NodeWorld["source"] {
  let snapshot = empty;
  const listeners = new Set<(next: Snapshot) => void>();
  return {
    current: () => snapshot,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    set(next) {
      snapshot = next;
      for (const listener of listeners) listener(next);
    },
  };
}

function modelOf({ node, annotations }: NodeNetwork, overlay: Overlay): NodeModel {
  const data: unknown = JSON.parse(annotations["flannel.alpha.coreos.com/backend-data"] ?? "null");
  const mac: unknown = data === null ? undefined : Reflect.get(Object(data), "VtepMAC");
  return { ...node, overlay, ready: true, ...(typeof mac === "string" ? { vtepMac: mac } : {}) };
}

function podModel(name: string, addresses: readonly string[]): PodModel {
  return {
    namespace: "default",
    name,
    uid: `uid-${name}`,
    node: `node-${name.slice(0, 1)}`,
    address: addresses[0],
    addresses,
    labels: {},
    ready: true,
    terminating: false,
    hostNetwork: false,
    ports: [],
  };
}

/** A server that tells each peer its own address, on one address of a pod or node. */
export function whoAmI(ns: NetNs, address: string, port: number): Server {
  const server = createServer((socket) => socket.end(`${socket.remoteAddress}`));
  return server.listen({ fd: tcpListener(ns, address, port) });
}

/** What a server says to somebody who only connects. */
export async function hear(from: NetNs, address: string, port: number, localPort?: number): Promise<string> {
  const socket = tcpConnect(from, address, port, localPort === undefined ? undefined : { port: localPort });
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.setTimeout(5000, () => socket.destroy(new Error(`nothing from ${address} port ${port}`)));
  await once(socket, "close");
  return Buffer.concat(chunks).toString();
}

/** For tests: node-a and its proxy, a client outside and four pods, all of them loopback addresses of this process. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import type { TestContext } from "node:test";
import {
  clusterEnd,
  createLoopbackNetwork,
  endsOf,
  reachEnd,
  tcpConnect,
  tcpListener,
  udpSocket,
} from "#kernel";
import type { LoopbackNetwork, LoopbackPlace } from "#kernel";
import { codeOf } from "#lib/errors";
import { silentLog } from "#lib/log";
import { freeLoopback } from "./loopback.ts";
import { settableSource, testSnapshot } from "../../src/path/4-proxy/testing.ts";
import type { SettableSource, TestEndpoint, TestService } from "../../src/path/4-proxy/testing.ts";
import { startProxy, type Proxy, type ProxyOptions } from "#path/proxy";

export const NODE = "172.30.0.11";
export const CLIENT = "203.0.113.10";
export const VIP = "203.0.113.200";
export const CLUSTER_IP = "10.96.0.7";

export const pods: readonly Required<Pick<TestEndpoint, "address" | "node" | "pod">>[] = [
  { address: "10.244.0.2", node: "node-a", pod: "pod-1" },
  { address: "10.244.0.3", node: "node-a", pod: "pod-2" },
  { address: "10.244.1.2", node: "node-b", pod: "pod-3" },
  { address: "10.244.1.3", node: "node-b", pod: "pod-4" },
];

/** A Service with every kind of address. */
export function api(endpoints: readonly TestEndpoint[], more: Partial<TestService> = {}): TestService {
  const everyKind = {
    name: "api",
    clusterIP: CLUSTER_IP,
    type: "LoadBalancer",
    nodePort: 30080,
    loadBalancerIP: VIP,
  } as const;
  return { ...everyKind, endpoints, ...more };
}

export interface Lab {
  readonly network: LoopbackNetwork;
  readonly source: SettableSource;
  readonly proxy: Proxy;
  readonly client: LoopbackPlace;
  readonly node: LoopbackPlace;
  pod(name: string): LoopbackPlace;
  /** A pod's server: `stop` closes it, `serve` answers otherwise. */
  readonly servers: ReadonlyMap<string, PodServer>;
  /** Puts these Services in force. */
  set(...services: readonly TestService[]): Promise<void>;
}

interface PodServer {
  readonly server: Server;
  /** How it treats a connection; by default it says its name and whom it sees, and ends. */
  serve: (socket: Socket) => void;
}

/** Two of the pods are said to be on node-b; here node-a decides for them, too. */
const nodes = [{ name: "node-a", address: NODE, podCIDR: "10.244.0.0/16" }];

export async function lab(
  t: TestContext,
  services: readonly TestService[],
  { log = silentLog, ...more }: Pick<Partial<ProxyOptions>, "log" | "externalIPs" | "masqueradeAll"> = {},
): Promise<Lab> {
  const network = createLoopbackNetwork(freeLoopback(t), nodes);
  const place = (name: string, address: string): LoopbackPlace => network.place(name, address);
  const servers = new Map(pods.map(({ pod, address }) => [pod, servePod(place(pod, address))]));
  const datagrams = pods.map(({ pod, address }) => echoDatagrams(place(pod, address)));
  const source = settableSource(testSnapshot(...services));
  const node = place("node-a", NODE);
  const proxy = startProxy({ source, node: "node-a", netns: node, mode: "userspace", network, log, ...more });
  t.after(async () => {
    await proxy.close();
    for (const { server } of servers.values()) server.close();
    for (const socket of datagrams) socket.close();
  });
  await proxy.ready;
  return {
    network,
    source,
    proxy,
    node,
    client: place("client", CLIENT),
    servers,
    pod(name) {
      const found = pods.find(({ pod }) => pod === name);
      assert.ok(found);
      return place(name, found.address);
    },
    set(...changed) {
      const snapshot = testSnapshot(...changed);
      source.set(snapshot);
      return proxy.programmed(snapshot);
    },
  };
}

function servePod(place: LoopbackPlace): PodServer {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    pod.serve(socket);
  });
  const pod: PodServer = {
    server,
    serve: (socket) => {
      socket.resume();
      socket.end(`${place.name} ${endsOf(place, socket).remote.address}`);
    },
  };
  server.listen({ fd: tcpListener(place, "0.0.0.0", 8080) });
  return pod;
}

function echoDatagrams(place: LoopbackPlace): { close(): void } {
  const socket = createSocket("udp4");
  socket.on("message", (_, peer) =>
    socket.send(`${place.name} ${clusterEnd(place, peer).address}`, peer.port, peer.address),
  );
  socket.bind({ fd: udpSocket(place, "0.0.0.0", 8080) });
  return socket;
}

/** `pod-1 203.0.113.10`: who answered, and whom it saw; or the error's code, or `silence`. */
export function ask(from: LoopbackPlace, address: string, port: number, patience = 3000): Promise<string> {
  return new Promise((resolve) => {
    const socket = tcpConnect(from, address, port);
    let answer = "";
    socket.setTimeout(patience, () => {
      socket.destroy();
      resolve("silence");
    });
    socket.on("data", (bytes) => (answer += bytes.toString()));
    socket.on("error", (error) => resolve(codeOf(error) ?? "error"));
    socket.on("close", () => resolve(answer));
  });
}

/** Names of the pods that answered so many connections, one after the other. */
export async function askMany(
  from: LoopbackPlace,
  count: number,
  where: (index: number) => readonly [string, number] = () => [CLUSTER_IP, 80],
): Promise<string[]> {
  const names: string[] = [];
  for (let i = 0; i < count; i++) names.push((await ask(from, ...where(i))).split(" ")[0] ?? "");
  return names;
}

/** A UDP client that keeps its port. */
export function datagramClient(t: TestContext, from: LoopbackPlace) {
  const socket = createSocket("udp4");
  const bound = once(socket, "listening");
  socket.bind({ fd: udpSocket(from, "0.0.0.0", 0) });
  t.after(() => socket.close());
  return async (address: string, port: number, patience = 3000): Promise<string> => {
    await bound;
    const to = reachEnd(from, address, port, "UDP");
    const answered = once(socket, "message", { signal: AbortSignal.timeout(patience) });
    socket.send("?", to.port, to.address);
    const answer = await answered.catch(() => undefined);
    return answer === undefined ? "silence" : String(answer[0]);
  };
}

export function counts(names: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    [...new Set(names)].sort().map((name) => [name, names.filter((other) => other === name).length]),
  );
}

export function assertEveryWindow(names: readonly string[], size: number): void {
  for (let i = 0; i + size <= names.length; i++) {
    const window = names.slice(i, i + size);
    assert.equal(new Set(window).size, size, `connections ${i} to ${i + size - 1}: ${window.join(" ")}`);
  }
}

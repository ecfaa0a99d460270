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
import { ADDRESSES, CLUSTER_IP, NODE, type PodName, type Who } from "../../src/path/4-proxy/contract.ts";
import { settableSource, testSnapshot } from "../../src/path/4-proxy/testing.ts";
import type { SettableSource, TestService } from "../../src/path/4-proxy/testing.ts";
import { startProxy, type Proxy, type ProxyOptions } from "#path/proxy";

const podNames: readonly PodName[] = ["pod-1", "pod-2", "pod-3", "pod-4"];

export interface Lab {
  readonly network: LoopbackNetwork;
  readonly source: SettableSource;
  readonly proxy: Proxy;
  readonly client: LoopbackPlace;
  readonly node: LoopbackPlace;
  pod(name: Who): LoopbackPlace;
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
  const network = createLoopbackNetwork(freeLoopback(t), () => nodes);
  const place = (name: string, address: string): LoopbackPlace => network.place(name, address);
  const pods = new Map<Who, LoopbackPlace>(
    podNames.map((name) => [name, place(name, ADDRESSES[name].IPv4)] as const),
  );
  const servers = new Map([...pods].map(([name, pod]) => [name, servePod(pod)]));
  const datagrams = [...pods.values()].map(echoDatagrams);
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
    client: place("client", ADDRESSES.client.IPv4),
    servers,
    pod(name) {
      const found = pods.get(name);
      assert.ok(found);
      return found;
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

/** A node is cut off: how long does it take until every new connection of a client on the internet is answered again? */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { ipBatch, nft, tcpConnect, tcpListener, type NetNs } from "#kernel";
import type { Endpoint, ServiceModel } from "#model";
import { observe } from "#path/load-balancer";
import { lbLab, PORT, serviceOf } from "./lb-lab.ts";

/** Traffic policy Cluster, in turns: the proxies must leave out the dead node's pods, too. */
const VIP = "203.0.113.130";
/** Traffic policy Local, by the client's address: who answers is where the load balancer sent it. */
const HASHED_VIP = "203.0.113.131";

/** Milliseconds between two new connections. */
const PACE_MS = 5;
/** A connection that is not answered in this time has failed: less than TCP's second, after which it would try again by itself. */
const PATIENCE_MS = 500;

export interface Held {
  /** Where the load balancer sent it, and where the pod is that answers. */
  readonly by: string | undefined;
  readonly on: string;
  /** `NODE/POD` of the answer; rejected when none comes. */
  ask(): Promise<string>;
}

export interface FailoverLab {
  heal(node: string): Promise<void>;
  /** A connection that stays. */
  hold(): Promise<Held>;
  /**
   * Cuts a node off while new connections are opened one after the other, for so many milliseconds.
   * @returns milliseconds from the cut to the beginning of the last connection that failed; 0 if none did
   */
  failover(node: string, watchMs: number): Promise<number>;
  /** The nodes that clients of the address with `source-hash` meet, each client from an address of its own. */
  hashed(clients: number): Promise<readonly string[]>;
  /** Waits until all nodes get new connections, and a round of them is answered. */
  steady(): Promise<void>;
  close(): Promise<void>;
}

export async function failoverLab(): Promise<FailoverLab> {
  const { world, outside, balancer, proxies, close } = await lbLab(services, serve);
  const pods = world.pods().length;
  await ipBatch(
    outside.internet,
    clients.map((address) => `address add ${address}/32 dev eth0`),
  );
  const held = new Set<Socket>();
  const dial = (): Socket => tcpConnect(outside.internet, VIP, PORT);
  const isSteady = async (): Promise<boolean> => {
    const { ports } = balancer.current();
    const heard = ports.every(({ candidates }) => candidates.every(({ reason }) => reason === "healthy"));
    if (!heard || proxies.some((proxy) => proxy.silent().size > 0)) return false;
    await balancer.settled();
    const tries = await Promise.all(Array.from({ length: 4 * pods }, () => attempt(dial())));
    return tries.every((failedAt) => failedAt === undefined);
  };
  const lab: FailoverLab = {
    heal: async (node) => void (await nft(world.node(node).ns, "delete table inet cut\n")),
    async hold() {
      const socket = dial();
      held.add(socket);
      socket.on("error", () => undefined);
      const ask = async (): Promise<string> => {
        socket.write("?");
        const [answer] = await once(socket, "data", { signal: AbortSignal.timeout(5000) });
        return String(answer);
      };
      const on = (await ask()).split("/")[0] ?? "";
      const { localPort } = socket;
      const source = { address: "203.0.113.10", ...(localPort === undefined ? {} : { port: localPort }) };
      const destination = { address: VIP, port: PORT };
      const seen = await observe(outside.edge, balancer, { protocol: "TCP", source, destination });
      return { by: seen?.node, on, ask };
    },
    async failover(node, watchMs) {
      await lab.steady();
      const began: Promise<number | undefined>[] = [];
      const pace = setInterval(() => began.push(attempt(dial())), PACE_MS);
      await nft(world.node(node).ns, cutScript);
      const cutAt = performance.now();
      await new Promise((resolve) => setTimeout(resolve, watchMs));
      clearInterval(pace);
      const failed = (await Promise.all(began)).filter((at) => at !== undefined);
      return Math.max(0, ...failed.map((at) => at - cutAt));
    },
    hashed: (count) => Promise.all(clients.slice(0, count).map((from) => answerTo(outside.internet, from))),
    async steady() {
      const end = performance.now() + 20_000;
      while (!(await isSteady())) {
        assert.ok(performance.now() < end, "not all nodes answer within 20 s");
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    async close() {
      for (const socket of held) socket.destroy();
      await close();
    },
  };
  await lab.steady();
  return lab;
}

function services(endpoints: readonly Endpoint[]): readonly ServiceModel[] {
  return [
    serviceOf(0, endpoints, { loadBalancerIPs: [VIP] }),
    serviceOf(1, endpoints, {
      loadBalancerIPs: [HASHED_VIP],
      externalTrafficPolicy: "Local",
      healthCheckNodePort: 32_081,
      loadBalancerAlgorithm: "source-hash",
    }),
  ];
}

const clients = Array.from({ length: 60 }, (_, i) => `203.0.113.${20 + i}`);

/** The node that answers a client. */
async function answerTo(internet: NetNs, address: string): Promise<string> {
  const socket = tcpConnect(internet, HASHED_VIP, PORT, { address });
  socket.write("?");
  const [answer] = await once(socket, "data", { signal: AbortSignal.timeout(5000) });
  socket.destroy();
  return String(answer).split("/")[0] ?? "";
}

/** As a cable that is pulled: nobody is told. */
const cutScript = `table inet cut {
  chain in { type filter hook prerouting priority raw; iifname "eth0" drop; }
  chain out { type filter hook postrouting priority raw; oifname "eth0" drop; }
}
`;

/** When the connection was begun, if it failed. */
function attempt(socket: Socket): Promise<number | undefined> {
  const began = performance.now();
  return new Promise((resolve) => {
    const end = (failedAt: number | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(failedAt);
    };
    const timer = setTimeout(() => end(began), PATIENCE_MS);
    socket.on("error", () => end(began));
    socket.on("data", () => end(undefined));
    socket.write("?");
  });
}

/** Whatever comes is answered with the same words. */
function serve(ns: NetNs, words: string): Server {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", () => socket.write(words));
  });
  return server.listen({ fd: tcpListener(ns, "0.0.0.0", 8080) });
}

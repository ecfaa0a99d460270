/**
 * Connections that end at the load balancer: each is accepted here, made anew to a node port, and begins there with a PROXY
 * header that says whose it is.
 */
import { createServer, type Server, type Socket } from "node:net";
import type { Tuple } from "#kernel";
import { isInside } from "#lib/ip";
import type { Log } from "#lib/log";
import { relay } from "#lib/relay";
import { encodeProxyHeader } from "#wire/proxy-protocol";
import { nodeChooser, type ChooseNode } from "./choose.ts";
import type { LoadBalancerPlan, Proxying, VipPort } from "./plan.ts";
import { vipKey, type Accepting } from "./rules.ts";

export interface AcceptorOptions {
  /** A listening TCP socket of the edge for a family, on any free port. */
  readonly listen: (address: "0.0.0.0" | "::") => number;
  /** Begins a connection of the edge; half-open must be allowed. */
  readonly dial: (address: string, port: number) => Socket;
  readonly log: Log;
}

export interface Acceptor {
  /** Accepts for exactly these ports from now on, and says where. Connections go on, but those to nodes that are gone. */
  follow(plan: LoadBalancerPlan): Accepting;
  /** The node that a connection of a client was passed on to; undefined where there is none. */
  nodeOf(connection: Tuple): string | undefined;
  close(): void;
}

interface End {
  readonly address: string;
  readonly port: number;
}

/** Connections of one port at one time; a client beyond is hung up on. */
const MOST_CONNECTIONS = 10_000;
/** A peer that died is noticed by the kernel's probes, the first after so many milliseconds of silence. */
const KEEP_ALIVE_MS = 60_000;

interface Open {
  readonly node: string;
  readonly sockets: readonly Socket[];
}

interface Accepted {
  readonly server: Server;
  readonly edgePort: number;
  /** As of the last plan. */
  vip: VipPort;
  nodes: string;
  choose: ChooseNode;
}

export function createAcceptor({ listen, dial, log }: AcceptorOptions): Acceptor {
  const accepted = new Map<string, Accepted>();
  const open = new Map<string, Open>();

  const accept = (client: Socket, from: End, { vip, choose }: Accepted, proxy: Proxying): void => {
    const first = choose(from);
    const nodes = vip.candidates.filter(({ eligible }) => eligible);
    const key = connectionKey(from, vip);
    client.setKeepAlive(true, KEEP_ALIVE_MS);
    void relay(client, {
      ends: nodes.toSorted((a, b) => Number(b.name === first) - Number(a.name === first)),
      dial: ({ address = "" }) => dial(address, proxy.nodePort),
      connected({ name }, upstream) {
        open.set(key, { node: name, sockets: [client, upstream] });
        upstream.setKeepAlive(true, KEEP_ALIVE_MS);
        upstream.write(encodeProxyHeader(proxy.version, { source: from, destination: vip }));
      },
      ended: () => open.delete(key),
    });
  };

  const listenFor = (key: string, vip: VipPort): Accepted => {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (client) => {
      client.on("error", () => undefined);
      const now = accepted.get(key);
      const { remoteAddress: address, remotePort: port } = client;
      // It may have ended already, or its Service has.
      if (now?.vip.proxy === undefined || address === undefined || port === undefined) client.destroy();
      else if (!isAdmitted(address, now.vip.proxy)) client.resetAndDestroy();
      else accept(client, { address, port }, now, now.vip.proxy);
    });
    server.maxConnections = MOST_CONNECTIONS;
    // Accepting fails when no descriptor is left; the listener goes on.
    server.on("error", (error) => log.warn(`${key}: ${error.message}`));
    server.listen({ fd: listen(vip.address.includes(":") ? "::" : "0.0.0.0") });
    const bound = server.address();
    const edgePort = bound !== null && typeof bound === "object" ? bound.port : 0;
    return { server, edgePort, vip, nodes: "", choose: () => undefined };
  };

  return {
    follow({ ports, gone }) {
      const wanted = new Map(
        ports.filter(({ proxy }) => proxy !== undefined).map((vip) => [vipKey(vip), vip]),
      );
      for (const [key, { server }] of accepted) {
        if (wanted.has(key)) continue;
        server.close();
        accepted.delete(key);
      }
      for (const [key, vip] of wanted) {
        const one = accepted.get(key) ?? listenFor(key, vip);
        accepted.set(key, one);
        one.vip = vip;
        const names = vip.candidates.filter(({ eligible }) => eligible).map(({ name }) => name);
        // The order of turns goes on while the nodes stay the same.
        if (one.nodes !== `${vip.algorithm} ${names.join()}`) one.choose = nodeChooser(vip.algorithm, names);
        one.nodes = `${vip.algorithm} ${names.join()}`;
      }
      for (const { node, sockets } of open.values()) if (gone.includes(node)) reset(sockets);
      return new Map([...accepted].map(([key, { edgePort }]) => [key, edgePort]));
    },
    nodeOf: ({ source, sourcePort, destination, destinationPort }) => {
      const from = { address: source, port: sourcePort };
      return open.get(connectionKey(from, { address: destination, port: destinationPort }))?.node;
    },
    close() {
      for (const { server } of accepted.values()) server.close();
      accepted.clear();
      for (const { sockets } of open.values()) reset(sockets);
    },
  };
}

function connectionKey(from: End, to: End): string {
  return `${from.address} ${from.port} ${to.address} ${to.port}`;
}

function isAdmitted(address: string, { sourceRanges }: Proxying): boolean {
  return sourceRanges === undefined || sourceRanges.some((range) => isInside(address, range));
}

function reset(sockets: readonly Socket[]): void {
  for (const socket of sockets) if (!socket.destroyed) socket.resetAndDestroy();
}

/** DNS server loops over UDP and TCP. */
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import type { DatagramListen, DatagramSocket, OpenDatagrams } from "#lib/datagrams";
import { messageOf } from "#lib/errors";
import { answerBytes, type Answering } from "./dns-answer.ts";
import { openDgram } from "./dns-datagrams.ts";
import { createKeptAnswers } from "./dns-kept.ts";
import type { DnsEndpoint } from "./dns-sockets.ts";
import { serveConnection } from "./dns-tcp.ts";

/** Where to listen: a socket made elsewhere (bound UDP, listening TCP), or an IP literal and port (0: any free one). */
export type DnsListen = DatagramListen;

export interface DnsServerOptions extends Omit<Answering, "kept"> {
  /** Who makes the system calls on the UDP socket; node:dgram if not given. */
  readonly openDatagrams?: OpenDatagrams | undefined;
  readonly udp?: DnsListen;
  readonly tcp?: DnsListen;
  /** Who a client is, where its socket does not say it; the answers go to the socket's end all the same. */
  readonly clientOf?: (end: DnsEndpoint) => DnsEndpoint;
  /** Open TCP connections at one time; more are closed at once. 256 if not given. */
  readonly maxConnections?: number;
  /** A TCP connection on which nothing moves for so long is closed, milliseconds. 10,000 if not given (RFC 7766 6.2.3). */
  readonly idleMs?: number;
}

export interface DnsServer {
  readonly udpPort: number | undefined;
  readonly tcpPort: number | undefined;
  /** Drops answers that were kept because they last: something has changed. */
  forget(): void;
  /** Stops listening and cuts all connections. */
  close(): Promise<void>;
}

/** Starts serving; resolves when all sockets listen, rejects with the system error if one cannot. */
export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const kept = createKeptAnswers();
  const udp = options.udp && (await listenUdp(options.udp, { ...options, kept }));
  try {
    const tcp = options.tcp && (await listenTcp(options.tcp, options));
    return {
      udpPort: udp?.port,
      tcpPort: tcp?.port,
      forget: kept.drop,
      close: async () => {
        await Promise.all([udp?.close(), tcp?.close()]);
      },
    };
  } catch (error) {
    await udp?.close();
    throw error;
  }
}

async function listenUdp(
  listen: DnsListen,
  { openDatagrams = openDgram, clientOf = asItIs, ...answering }: DnsServerOptions & Answering,
): Promise<DatagramSocket> {
  const socket: DatagramSocket = await openDatagrams(listen, (bytes, from) => {
    const { address, port } = clientOf(from);
    const peer = { address, port, transport: "udp" } as const;
    const reply = answerBytes(bytes, peer, answering);
    if (reply instanceof Promise) void reply.then((value) => socket.send(value, from));
    else if (reply !== undefined) socket.send(reply, from);
  });
  return socket;
}

function asItIs(end: DnsEndpoint): DnsEndpoint {
  return end;
}

async function listenTcp(
  listen: DnsListen,
  options: DnsServerOptions,
): Promise<{ port: number; close: () => Promise<void> }> {
  const { log, maxConnections = 256, idleMs = 10_000, clientOf = asItIs } = options;
  const connections = new Set<{ destroy(): void }>();
  // The client may close its side after its last query and still wait for the answers.
  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
    const end = { address: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 };
    const peer = { ...clientOf(end), transport: "tcp" } as const;
    serveConnection(socket, (bytes) => answerBytes(bytes, peer, options), { idleMs });
  });
  server.maxConnections = maxConnections;
  server.listen("fd" in listen ? { fd: listen.fd } : { host: listen.address, port: listen.port });
  await once(server, "listening");
  server.on("error", (error) => log.warn("DNS TCP server", { error: messageOf(error) }));
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of connections) socket.destroy();
      await closed;
    },
  };
}

/** DNS server loops over UDP and TCP. */
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, isIPv6, type Server } from "node:net";
import { messageOf } from "#lib/errors";
import { answerBytes, type Answering } from "./dns-answer.ts";
import { ipLiteralLookup, type DnsEndpoint } from "./dns-sockets.ts";
import { serveConnection } from "./dns-tcp.ts";

/** Where to listen: a socket made elsewhere (bound UDP, listening TCP), or an IP literal and port (0: any free one). */
export type DnsListen = { readonly fd: number } | { readonly address: string; readonly port: number };

export interface DnsServerOptions extends Answering {
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
  /** Stops listening and cuts all connections. */
  close(): Promise<void>;
}

/** Starts serving; resolves when all sockets listen, rejects with the system error if one cannot. */
export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const udp = options.udp && (await listenUdp(options.udp, options));
  try {
    const tcp = options.tcp && (await listenTcp(options.tcp, options));
    return {
      udpPort: udp?.address().port,
      tcpPort: tcp?.port,
      close: async () => {
        await Promise.all([udp && closeUdp(udp), tcp?.close()]);
      },
    };
  } catch (error) {
    if (udp !== undefined) await closeUdp(udp);
    throw error;
  }
}

async function listenUdp(listen: DnsListen, answering: DnsServerOptions): Promise<UdpSocket> {
  const { clientOf = asItIs } = answering;
  const six = "address" in listen && isIPv6(listen.address);
  const socket = createSocket({ type: six ? "udp6" : "udp4", lookup: ipLiteralLookup });
  const send = (reply: Uint8Array | undefined, peer: RemoteInfo): void => {
    // Without a callback a failed send would end the process; a lost datagram is what UDP promises anyway. Port 0,
    // which only a forger writes, would make `send` throw.
    if (reply !== undefined && peer.port !== 0) socket.send(reply, peer.port, peer.address, () => undefined);
  };
  socket.on("message", (bytes, remote) => {
    const peer = { ...clientOf({ address: remote.address, port: remote.port }), transport: "udp" } as const;
    const reply = answerBytes(bytes, peer, answering);
    if (reply instanceof Promise) void reply.then((value) => sendIfOpen(value, remote));
    else send(reply, remote);
  });
  let open = true;
  const sendIfOpen = (reply: Uint8Array, remote: RemoteInfo): void => {
    if (open) send(reply, remote);
  };
  socket.once("close", () => (open = false));
  const listening = once(socket, "listening");
  socket.bind("fd" in listen ? { fd: listen.fd } : { address: listen.address, port: listen.port });
  await listening;
  socket.on("error", (error) => answering.log.warn("DNS UDP socket", { error: messageOf(error) }));
  return socket;
}

function asItIs(end: DnsEndpoint): DnsEndpoint {
  return end;
}

function closeUdp(socket: UdpSocket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
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

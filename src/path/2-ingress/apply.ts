/** Runs the ingress: listeners for HTTP, HTTPS and debugging, and the engine behind them. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type Server as TlsServer } from "node:tls";
import type { Log } from "#lib/log";
import type { PodAt, SnapshotSource } from "#model";
import { createCertificateStore, tlsSettings, type PemCertificate } from "./certificates.ts";
import { createDebugServer } from "./debug.ts";
import type { ClientConnection } from "./engine/connection.ts";
import type { EngineContext } from "./engine/context.ts";
import { defaultLimits, type EngineLimits } from "./engine/limits.ts";
import { createResolveCache, type Resolve } from "./engine/resolve-cache.ts";
import { dial, serveSocket } from "./engine/transport.ts";
import { createMetrics } from "./metrics.ts";
import { decide, reachOf } from "./plan.ts";
import { createRecordRing } from "./records.ts";

/** Where to listen: a socket that listens already, or an address; port 0 means any. */
export type Listen = { readonly fd: number } | { readonly port: number; readonly host?: string };

export interface IngressOptions {
  /** Routes and certificates; a new snapshot counts from the next request and handshake on. */
  readonly source: SnapshotSource;
  /** The pod that this ingress runs in. */
  readonly pod: PodAt;
  readonly resolve: Resolve;
  readonly listen: { readonly http?: Listen; readonly https?: Listen };
  readonly debug: Listen & { readonly token: string };
  /** Serves names that no usable TLS Secret covers. */
  readonly defaultCertificate: PemCertificate;
  readonly log: Log;
  readonly limits?: Partial<EngineLimits>;
  /** How many requests the debug endpoint remembers. */
  readonly records?: number;
}

export interface Ingress {
  /** Fulfilled when all listeners accept; rejected when one cannot. */
  readonly ready: Promise<void>;
  /** Where it listens, once ready. */
  addresses(): { readonly http?: AddressInfo; readonly https?: AddressInfo; readonly debug?: AddressInfo };
  /** Another default certificate, from the next handshake on. Throws if it cannot be used; the one before then stays. */
  setDefaultCertificate(certificate: PemCertificate): void;
  /** Graceful: stops accepting, finishes the requests in flight (at most `limits.drainMs`), then closes the rest. */
  close(): Promise<void>;
}

export function startIngress(options: IngressOptions): Ingress {
  let stopping = false;
  const limits = { ...defaultLimits, ...options.limits };
  const context = createContext(options, limits, () => stopping);
  const connections = new Map<Socket, ClientConnection | undefined>();
  const accept = (socket: Socket): void => {
    const connection = serveSocket(socket, context);
    track(socket, connection, connections, context);
    if (stopping) connection?.stop();
  };
  const servers = {
    http: options.listen.http === undefined ? undefined : createServer({ allowHalfOpen: true }, accept),
    https: options.listen.https === undefined ? undefined : createHttps(options, limits, accept),
    debug: createDebugServer(
      { records: context.records, metrics: context.metrics, routes: () => options.source.current().routes },
      options.debug.token,
    ),
  };
  const listening = [
    listen(servers.http, options.listen.http),
    listen(servers.https, options.listen.https),
    listen(servers.debug, options.debug),
  ];
  return {
    ready: allListening(listening, Object.values(servers)).then(() => options.log.info("ready")),
    addresses: () => ({
      ...addressOf("http", servers.http),
      ...addressOf("https", servers.https),
      ...addressOf("debug", servers.debug),
    }),
    setDefaultCertificate: (certificate) =>
      servers.https?.setSecureContext({ ...certificate, ...tlsSettings }),
    close: async () => {
      stopping = true;
      const closed = Promise.all([servers.http, servers.https].map(closeServer));
      for (const connection of connections.values()) connection?.stop();
      const timer = setTimeout(() => {
        for (const socket of connections.keys()) socket.destroy();
      }, limits.drainMs);
      await closed;
      clearTimeout(timer);
      servers.debug.closeAllConnections();
      await closeServer(servers.debug);
    },
  };
}

function createContext(
  options: IngressOptions,
  limits: EngineLimits,
  stopping: () => boolean,
): EngineContext {
  const cache = createResolveCache(options.resolve, now);
  const { source, pod } = options;
  return {
    limits,
    records: createRecordRing(options.records ?? 4_096),
    metrics: createMetrics(),
    stopping,
    decide: (host, path) => decide(source.current(), host, path),
    resolve: (name, current) => cache.lookup(name, current),
    forget: (name) => cache.forget(name),
    reach: (decision) => reachOf(source.current(), decision, pod),
    dial,
    now,
    date: () => new Date(),
    newRequestId: () => randomBytes(16).toString("hex"),
  };
}

function createHttps(
  options: IngressOptions,
  limits: EngineLimits,
  accept: (socket: Socket) => void,
): TlsServer {
  const contextFor = createCertificateStore(options.source, options.log);
  const server = createTlsServer({
    ...options.defaultCertificate,
    ...tlsSettings,
    ALPNProtocols: ["http/1.1"],
    allowHalfOpen: true,
    handshakeTimeout: limits.headMs,
    SNICallback: (serverName, done) => done(null, contextFor(serverName)),
  });
  server.on("secureConnection", accept);
  // Failed handshakes are the client's affair; the socket must not stay.
  server.on("tlsClientError", (_, socket) => socket.destroy());
  return server;
}

function track(
  socket: Socket,
  connection: ClientConnection | undefined,
  connections: Map<Socket, ClientConnection | undefined>,
  { metrics }: EngineContext,
): void {
  connections.set(socket, connection);
  metrics.connections++;
  metrics.connectionsTotal++;
  socket.on("close", () => {
    connections.delete(socket);
    metrics.connections--;
  });
}

async function listen(server: Server | undefined, where: Listen | undefined): Promise<void> {
  if (server === undefined || where === undefined) return;
  const listening = once(server, "listening");
  if ("fd" in where) server.listen({ fd: where.fd });
  else
    server.listen({
      port: where.port,
      backlog: 4_096,
      ...(where.host === undefined ? {} : { host: where.host }),
    });
  await listening;
}

function now(): number {
  return performance.now();
}

/** When one server cannot listen, the others do not stay. */
async function allListening(
  listening: readonly Promise<void>[],
  servers: readonly (Server | undefined)[],
): Promise<void> {
  const results = await Promise.allSettled(listening);
  const failed = results.find((result) => result.status === "rejected");
  if (failed === undefined) return;
  await Promise.all(servers.map(closeServer));
  throw failed.reason;
}

async function closeServer(server: Server | undefined): Promise<void> {
  if (server === undefined || !server.listening) return;
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
}

function addressOf(name: string, server: Server | undefined): Record<string, AddressInfo> {
  const address = server?.address();
  return typeof address === "object" && address !== null ? { [name]: address } : {};
}

/** What machines ask about the server: `/metrics`, `/health`, `/ready`, and the account of its clients. Read-only. */
import { once } from "node:events";
import type { IncomingMessage, Server } from "node:http";
import { InroadError, messageOf } from "#lib/errors";
import { createServer } from "#lib/http";
import { metricsType } from "#lib/metrics";

/**
 * A socket that listens already, or an address: `host` is an IP literal; port 0 takes any free one. CoreDNS' ports are 9153,
 * 8080 and 8181.
 */
type HttpListen = { readonly fd: number } | { readonly host: string; readonly port: number };

export interface EndpointOptions {
  readonly metrics?: HttpListen | undefined;
  readonly health?: HttpListen | undefined;
  readonly ready?: HttpListen | undefined;
}

export interface EndpointSources {
  readonly metrics: () => string;
  /** Clients with their counts, those with the most denials first. */
  readonly clients: () => readonly unknown[];
  /** Undefined when ready, else why not. */
  readonly unready: () => string | undefined;
}

export interface Endpoints {
  readonly ports: { readonly [K in keyof EndpointOptions]: number | undefined };
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly type?: string;
}

/** Starts what is wanted of the three. Rejects when one cannot listen. */
export async function startEndpoints(options: EndpointOptions, sources: EndpointSources): Promise<Endpoints> {
  const servers: Server[] = [];
  const start = async (listen: HttpListen | undefined, routes: Routes): Promise<number | undefined> => {
    if (listen === undefined) return undefined;
    const server = serve(routes);
    servers.push(server);
    return listenOn(server, listen);
  };
  const close = async (): Promise<void> => {
    await Promise.all(servers.map(closeServer));
  };
  try {
    const metrics = await start(options.metrics, {
      "/metrics": () => ({ status: 200, body: sources.metrics(), type: metricsType }),
      "/clients": () => ({ status: 200, body: clientsText(sources.clients()), type: "application/json" }),
    });
    const health = await start(options.health, { "/health": () => ({ status: 200, body: "OK" }) });
    const ready = await start(options.ready, { "/ready": () => readiness(sources.unready()) });
    return { ports: { metrics, health, ready }, close };
  } catch (error) {
    await close();
    throw error;
  }
}

type Routes = Readonly<Record<string, () => Answer>>;

function serve(routes: Routes): Server {
  const server = createServer({ requestTimeout: 5000, headersTimeout: 5000 }, (request, response) => {
    const { status, body, type = "text/plain; charset=utf-8" } = answer(routes, request);
    response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) });
    response.end(request.method === "HEAD" ? "" : body);
  });
  server.maxConnections = 64;
  return server;
}

function answer(routes: Routes, request: IncomingMessage): Answer {
  if (request.method !== "GET" && request.method !== "HEAD") return { status: 405, body: "read-only\n" };
  const path = (request.url ?? "").split("?")[0] ?? "";
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  return route?.() ?? { status: 404, body: `known paths: ${Object.keys(routes).join(", ")}\n` };
}

function readiness(reason: string | undefined): Answer {
  return reason === undefined ? { status: 200, body: "OK" } : { status: 503, body: reason };
}

function clientsText(clients: readonly unknown[]): string {
  return `${JSON.stringify({ apiVersion: "inroad.dev/v1", kind: "DNSClientList", clients })}\n`;
}

async function listenOn(server: Server, where: HttpListen): Promise<number> {
  server.listen(where);
  try {
    await once(server, "listening");
  } catch (error) {
    const at = "fd" in where ? `descriptor ${where.fd}` : `${where.host} port ${where.port}`;
    throw new InroadError("ListenFailed", `cannot listen on ${at}: ${messageOf(error)}`, {
      mend: "choose another address or port, or end what holds this one",
      cause: error,
    });
  }
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
}

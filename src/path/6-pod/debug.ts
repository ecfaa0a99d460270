/** The node agent's read-only endpoint: pods, logs, and the kernel's evidence, for holders of the token. */
import { timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "#lib/http";
import { tcpListener } from "#kernel";
import type { ConntrackEntry, ConntrackFilter, NetPlace, RouteTo } from "#kernel";
import { codeOf, messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import { formatLine, selectLog } from "./logs.ts";
import type { ContainerLog, LogOptions } from "./logs.ts";
import { agentPort } from "./node-object.ts";
import type { AgentNode } from "./node-object.ts";
import { specOf } from "./pod-object.ts";
import type { PodLife } from "./pod.ts";

/** Bytes of a followed log that may wait for their reader. */
const LARGEST_BACKLOG = 4 * 1024 * 1024;

/** What is known of a node's connections and routes, by whatever makes them. */
export interface NodeEvidence {
  connections(filter: ConntrackFilter): Promise<readonly ConntrackEntry[]>;
  /** @throws InroadError `Unreachable` */
  route(address: string): Promise<RouteTo>;
}

interface DebugOptions {
  readonly node: AgentNode;
  readonly ns: NetPlace;
  readonly evidence: NodeEvidence;
  readonly debugToken: string;
  readonly log: Log;
  readonly pods: () => readonly PodLife[];
}

/** Listens on the node's address, port 10250. */
export function startDebugServer(options: DebugOptions): { close(): void } {
  const server = createServer((request, response) => {
    serve(options, request, response).catch((error: unknown) => {
      const code = codeOf(error);
      send(response, code === "Unreachable" ? 404 : 500, { error: messageOf(error), code });
    });
  });
  server.on("error", (error) => options.log.warn("debug endpoint", { reason: messageOf(error) }));
  server.listen({ fd: tcpListener(options.ns, options.node.address, agentPort) });
  return {
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function serve(
  options: DebugOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://agent");
  if (url.pathname === "/healthz") return sendText(response, "ok");
  if (!isAllowed(request.headers.authorization, options.debugToken)) {
    return send(response, 401, { error: "a bearer token is needed" });
  }
  if (request.method !== "GET") return send(response, 405, { error: "this endpoint only answers GET" });
  const { searchParams: query } = url;
  const [, first, ...rest] = url.pathname.split("/").map((part) => decodeURIComponent(part));
  switch (first === "debug" ? `debug/${rest[0]}` : first) {
    case "pods":
      return send(response, 200, {
        apiVersion: "v1",
        kind: "PodList",
        items: options.pods().map((life) => life.object()),
      });
    case "containerLogs":
      return serveLog(options, rest, query, response);
    case "debug/conntrack":
      return send(response, 200, { entries: await options.evidence.connections(filterOf(query)) });
    case "debug/route":
      return send(response, 200, await options.evidence.route(query.get("address") ?? ""));
    case "debug/account":
      return send(response, 200, { requests: accountOf(options, query) });
    default:
      return send(response, 404, { error: `nothing at ${url.pathname}` });
  }
}

function isAllowed(header: string | undefined, token: string): boolean {
  const given = Buffer.from(header ?? "");
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

function filterOf(query: URLSearchParams): ConntrackFilter {
  const text = (name: string): string | undefined => query.get(name) ?? undefined;
  const port = (name: string): number | undefined => {
    const value = query.get(name);
    return value === null ? undefined : Number(value);
  };
  const filter = {
    source: text("source"),
    sourcePort: port("sourcePort"),
    destination: text("destination"),
    destinationPort: port("destinationPort"),
  };
  const given = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined));
  return { protocol: query.get("protocol")?.toLowerCase() === "udp" ? "udp" : "tcp", ...given };
}

function accountOf({ pods }: DebugOptions, query: URLSearchParams): unknown[] {
  const [namespace, name, requestId] = [query.get("namespace"), query.get("pod"), query.get("requestId")];
  return pods()
    .filter(({ id }) => (namespace ?? id.namespace) === id.namespace && (name ?? id.name) === id.name)
    .flatMap((life) =>
      life
        .account()
        .filter((one) => requestId === null || one.requestId === requestId)
        .map((one) => ({ namespace: life.id.namespace, pod: life.id.name, ...one })),
    );
}

/** `/containerLogs/NAMESPACE/POD/CONTAINER` as a kubelet has it. */
function serveLog(
  options: DebugOptions,
  path: readonly string[],
  query: URLSearchParams,
  response: ServerResponse,
): void {
  const [namespace, name, container] = path;
  const life = options.pods().find(({ id }) => id.namespace === namespace && id.name === name);
  if (life === undefined)
    return send(response, 404, { error: `pod ${namespace}/${name} is not on this node` });
  const wanted = container || specOf(life.object()).containers[0]?.name || "";
  const previous = query.get("previous") === "true";
  const log = life.logs(wanted, previous);
  if (log === undefined) {
    const what = previous ? "previous terminated container" : "container";
    return send(response, 400, { error: `${what} "${wanted}" in pod "${name}" not found` });
  }
  const wishes = logOptions(query);
  response.writeHead(200, { "content-type": "text/plain" });
  response.write(selectLog(log.lines(), wishes, new Date()));
  if (query.get("follow") === "true") followLog(log, wishes, response);
  else response.end();
}

function followLog(log: ContainerLog, wishes: LogOptions, response: ServerResponse): void {
  const stop = log.follow(
    (line) => {
      // A reader that does not keep up is cut off: its backlog would be kept here.
      if (response.writableLength > LARGEST_BACKLOG) response.destroy();
      else response.write(formatLine(line, wishes));
    },
    () => response.end(),
  );
  response.on("close", stop);
}

function logOptions(query: URLSearchParams): LogOptions {
  const number = (name: string): number | undefined => {
    const value = query.get(name);
    return value !== null && /^\d+$/.test(value) ? Number(value) : undefined;
  };
  const numbers = {
    tailLines: number("tailLines"),
    limitBytes: number("limitBytes"),
    sinceSeconds: number("sinceSeconds"),
  };
  const given = Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== undefined));
  return { ...given, timestamps: query.get("timestamps") === "true" };
}

function sendText(response: ServerResponse, text: string): void {
  response.writeHead(200, { "content-type": "text/plain" });
  response.end(text);
}

function send(response: ServerResponse, status: number, value: object): void {
  if (response.headersSent) return void response.end();
  response.writeHead(status, { "content-type": "application/json" });
  response.end(`${JSON.stringify(value)}\n`);
}

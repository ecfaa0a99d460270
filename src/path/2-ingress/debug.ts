/** The read-only debug endpoint: records, routes, counters, health. Off the data path, so plain `node:http`. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage, Server } from "node:http";
import { createServer } from "#lib/http";
import type { IngressRoutes } from "#model";
import { renderMetrics, type Metrics } from "./metrics.ts";
import type { RecordRing } from "./records.ts";

export interface DebugSources {
  readonly records: RecordRing;
  readonly metrics: Metrics;
  routes(): IngressRoutes;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** Everything but `/healthz` needs `Authorization: Bearer <token>`; `/healthz` says nothing, and probes have no token. */
export function createDebugServer(sources: DebugSources, token: string): Server {
  const expected = digest(token);
  return createServer((request, response) => {
    const { status, type, body } = answer(sources, expected, request);
    response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) });
    response.end(request.method === "HEAD" ? "" : body);
  });
}

function answer(sources: DebugSources, expected: Buffer, request: IncomingMessage): Answer {
  const target = request.url ?? "/";
  // `//` and the like: whoever asks so gets an answer, not the end of this thread.
  if (!URL.canParse(target, "http://debug")) return text(400, "the target is not valid");
  const url = new URL(target, "http://debug");
  if (request.method !== "GET" && request.method !== "HEAD") return text(405, "read-only");
  if (url.pathname === "/healthz") return text(200, "ok");
  if (!authorized(request.headers.authorization, expected)) return text(401, "a bearer token is needed");
  switch (url.pathname) {
    case "/metrics":
      return { status: 200, type: "text/plain; version=0.0.4", body: renderMetrics(sources.metrics) };
    case "/debug/records":
      return json({ records: selectRecords(sources.records, url.searchParams.get("requestId")) });
    case "/debug/routes":
      return json(describeRoutes(sources.routes()));
    default:
      return text(404, "known paths: /debug/records?requestId=, /debug/routes, /metrics, /healthz");
  }
}

/** Digests are compared, since the time to compare the tokens themselves would tell how far a guess was right. */
function authorized(header: string | undefined, expected: Buffer): boolean {
  const given = /^Bearer (.+)$/i.exec(header ?? "")?.[1] ?? "";
  return timingSafeEqual(digest(given), expected);
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function selectRecords(records: RecordRing, requestId: string | null): readonly unknown[] {
  return requestId === null ? records.list() : records.find(requestId);
}

/** The routes as they are in force, without keys. */
function describeRoutes(routes: IngressRoutes): object {
  return {
    hosts: [...routes.hosts.values()],
    defaultBackend: routes.defaultBackend,
    certificates: routes.certificates.map(({ host, secret, ingress, problem }) => ({
      host,
      secret,
      ingress,
      problem,
    })),
  };
}

function text(status: number, body: string): Answer {
  return { status, type: "text/plain; charset=utf-8", body: `${body}\n` };
}

function json(value: object): Answer {
  const body = JSON.stringify({ apiVersion: "inroad.dev/v1", ...value });
  return { status: 200, type: "application/json", body: `${body}\n` };
}

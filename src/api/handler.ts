import type { ApiRequest, ApiResponse } from "#client";
import { messageOf } from "#lib/errors";
import { handleBinding } from "./binding.ts";
import type { Context, Request } from "./context.ts";
import { handleDiscovery } from "./discovery.ts";
import { handleEviction } from "./eviction.ts";
import { negotiate } from "./negotiation.ts";
import { handleOpenApi } from "./openapi.ts";
import { handleLog, handleProxy } from "./proxy.ts";
import { handleGet, handleList, once, respondWith } from "./read.ts";
import { handleDelete, handleDeleteCollection } from "./remove.ts";
import { resolveRoute } from "./route.ts";
import type { Route, Target } from "./route.ts";
import { handleScale } from "./scale.ts";
import { ApiFault, badRequest, internalError, methodNotAllowed, unknownResource } from "./status.ts";
import { handleCreate, handlePatch, handleUpdate } from "./write.ts";
import { warningHeaders } from "./warnings.ts";
import { versionInfo } from "./version.ts";

/** Answers a request whose user is known to be allowed. Never throws: failures become Status answers. */
export async function handleRequest(context: Context, request: ApiRequest): Promise<ApiResponse> {
  const headers = lowerCase(request.headers ?? {});
  try {
    const at = request.path.indexOf("?");
    const path = at < 0 ? request.path : request.path.slice(0, at);
    const query = new URLSearchParams(at < 0 ? "" : request.path.slice(at + 1));
    if (request.body !== undefined && Buffer.byteLength(request.body) > MAX_BODY) throw tooLarge();
    const body = textOf(request.body);
    const { method, signal } = request;
    return await dispatch(context, route(path, query, context), { method, query, headers, body, signal });
  } catch (error) {
    return failure(context, headers["accept"], error);
  }
}

/** Bytes of a request body: what etcd would take. */
export const MAX_BODY = 3 * 1024 * 1024;

/** The answer to a body beyond the limit. */
export const tooLarge = (): ApiFault =>
  new ApiFault(413, "RequestEntityTooLarge", `Request entity too large: limit is ${MAX_BODY}`);

/** What anybody may ask: health and version. */
export function isPublic(path: string): boolean {
  return /^\/(?:healthz|livez|readyz|version)(?:[/?]|$)/.test(path);
}

function route(path: string, query: URLSearchParams, context: Context): Route {
  try {
    return resolveRoute(path, query, context.kinds);
  } catch {
    throw badRequest(`invalid path ${JSON.stringify(path)}`);
  }
}

const lowerCase = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));

function textOf(body: Uint8Array | string | undefined): string {
  if (body === undefined) return "";
  return typeof body === "string"
    ? body
    : Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8");
}

async function dispatch(context: Context, route: Route, request: Request): Promise<ApiResponse> {
  switch (route.to) {
    case "nothing":
      return plainText(404, "404 page not found\n");
    case "no-resource":
      throw unknownResource();
    case "version":
      return json(versionInfo);
    case "health":
      return health(route.check, route.verbose);
    case "discovery":
      if (request.method === "GET") return handleDiscovery(context, request, route.document);
      throw methodNotAllowed();
    case "openapi":
      return handleOpenApi(context, route.document);
    default:
      return dispatchResource(context, request, route.target);
  }
}

type Handler = (context: Context, request: Request, target: Target) => ApiResponse | Promise<ApiResponse>;

const COLLECTION: Readonly<Record<string, Handler>> = {
  GET: handleList,
  POST: handleCreate,
  DELETE: handleDeleteCollection,
};
const OBJECT: Readonly<Record<string, Handler>> = {
  GET: handleGet,
  PUT: handleUpdate,
  PATCH: handlePatch,
  DELETE: handleDelete,
};
const STATUS: Readonly<Record<string, Handler>> = { GET: handleGet, PUT: handleUpdate, PATCH: handlePatch };
const SUBRESOURCES: Readonly<Record<string, Handler>> = {
  binding: handleBinding,
  eviction: handleEviction,
  scale: handleScale,
  log: handleLog,
  proxy: handleProxy,
};

async function dispatchResource(context: Context, request: Request, target: Target): Promise<ApiResponse> {
  const { kind, namespace, name, subresource } = target;
  if (name === undefined) {
    const acrossNamespaces = kind.namespaced && namespace === undefined;
    if (acrossNamespaces && request.method !== "GET") throw methodNotAllowed();
    if (kind.schema === "core.v1.Namespace" && request.method === "DELETE") throw methodNotAllowed();
  }
  const table = name === undefined ? COLLECTION : subresource === "status" ? STATUS : OBJECT;
  const handler =
    subresource !== undefined && subresource !== "status" ? SUBRESOURCES[subresource] : table[request.method];
  if (handler === undefined) throw methodNotAllowed();
  return handler(context, request, target);
}

function plainText(status: number, text: string): ApiResponse {
  return { status, headers: { "content-type": "text/plain; charset=utf-8" }, body: once(Buffer.from(text)) };
}

function json(value: unknown): ApiResponse {
  return {
    status: 200,
    headers: { "content-type": "application/json" },
    body: once(Buffer.from(JSON.stringify(value))),
  };
}

function health(check: string, verbose: boolean): ApiResponse {
  if (check !== "" && check !== "ping") return plainText(404, "404 page not found\n");
  return plainText(200, verbose ? "[+]ping ok\nhealthz check passed\n" : "ok");
}

/** A failure as a Status in the form the client accepts. Anything unforeseen is logged and answered with 500. */
export function failure(
  context: Pick<Context, "log">,
  accept: string | undefined,
  error: unknown,
): ApiResponse {
  if (!(error instanceof ApiFault)) {
    context.log.error("request failed", {
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  }
  const fault = error instanceof ApiFault ? error : internalError(messageOf(error));
  const retry = fault.status.details?.retryAfterSeconds;
  return respondWith({ representation: formOf(accept) }, fault.code, fault.status, {
    ...warningHeaders(fault.warnings),
    ...(retry === undefined ? {} : { "retry-after": String(retry) }),
  });
}

function formOf(accept: string | undefined): ReturnType<typeof negotiate> {
  try {
    return negotiate(accept);
  } catch {
    return { media: "json", as: "object", version: "v1" };
  }
}

import type { IncomingMessage, ServerResponse } from "node:http";
import type { ApiRequest, ApiResponse } from "#client";
import type { Authenticator } from "./auth.ts";
import type { Context, User } from "./context.ts";
import { failure, handleRequest, isPublic, MAX_BODY, tooLarge } from "./handler.ts";
import { ApiFault, methodNotAllowed, unauthorized } from "./status.ts";

/** How long a client may take to send its body. */
const BODY_WITHIN_MS = 60_000;

const METHODS: ReadonlySet<string> = new Set(["GET", "POST", "PUT", "PATCH", "DELETE"]);

/** Answers one request of a node:http or node:https server. */
export async function handleHttp(
  context: Context,
  authenticator: Authenticator,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const answer = await answerTo(context, authenticator, request, gone.signal);
  try {
    await send(answer, request.method === "HEAD", response, gone.signal);
  } catch (error) {
    // The head is out: only closing the connection tells the client that the body is not whole.
    context.log.warn("an answer was cut off", { path: request.url ?? "", error: String(error) });
    response.destroy();
  }
}

async function answerTo(
  context: Context,
  authenticator: Authenticator,
  request: IncomingMessage,
  signal: AbortSignal,
): Promise<ApiResponse> {
  const { accept } = request.headers;
  try {
    const path = request.url ?? "/";
    const user = authenticator.identify(request.headers.authorization, request.socket);
    if (user === undefined && !isPublic(path)) throw unauthorized();
    const method = request.method === "HEAD" ? "GET" : (request.method ?? "GET");
    if (!isMethod(method)) throw methodNotAllowed();
    if (user !== undefined && !mayAsk(user, method, path)) throw refused(user, method, path);
    const body = method === "GET" ? "" : await readBody(request);
    return await handleRequest(context, { method, path, headers: headersOf(request), body, signal });
  } catch (error) {
    return failure(context, accept, error);
  }
}

/**
 * Members of `system:masters` may do everything, everybody else only reads; but a service account, as Inroad's own
 * components are, also writes the Leases of its namespace.
 */
function mayAsk({ name, groups }: User, method: ApiRequest["method"], path: string): boolean {
  if (method === "GET" || groups.includes("system:masters")) return true;
  const [, account] = /^system:serviceaccount:([^:]+):/.exec(name) ?? [];
  const [, namespace] =
    /^\/apis\/coordination\.k8s\.io\/v1\/namespaces\/([^/?]+)\/leases(?:\/[^/?]+)?(?:\?|$)/.exec(path) ?? [];
  return namespace !== undefined && namespace === account && groups.includes("system:serviceaccounts");
}

function refused({ name }: User, method: string, path: string): ApiFault {
  return new ApiFault(
    403,
    "Forbidden",
    `User ${JSON.stringify(name)} may only read here, and ${method} ${path} writes`,
  );
}

const isMethod = (method: string): method is ApiRequest["method"] => METHODS.has(method);

function headersOf(request: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return headers;
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  if (Number(request.headers["content-length"] ?? 0) > MAX_BODY) throw tooLarge();
  const timer = setTimeout(() => request.destroy(new Error("the body did not come in time")), BODY_WITHIN_MS);
  timer.unref();
  try {
    const chunks: Uint8Array[] = [];
    let size = 0;
    // A body that is too large must not take the connection down before the answer is out.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      if (!(chunk instanceof Uint8Array)) continue;
      size += chunk.length;
      if (size > MAX_BODY) throw tooLarge();
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } finally {
    clearTimeout(timer);
  }
}

async function send(
  answer: ApiResponse,
  headOnly: boolean,
  response: ServerResponse,
  gone: AbortSignal,
): Promise<void> {
  response.writeHead(answer.status, {
    ...answer.headers,
    "cache-control": "no-cache, private",
    ...(answer.status === 413 ? { connection: "close" } : {}),
  });
  if (headOnly) {
    response.end();
    return;
  }
  // Watches may stay silent for long: the client must know at once that it has been accepted.
  response.flushHeaders();
  for await (const chunk of answer.body) {
    if (gone.aborted) return;
    if (!response.write(chunk)) await drained(response);
  }
  response.end();
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.once("drain", done);
    response.once("close", done);
  });
}

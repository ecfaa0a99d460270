import type { ClientRequest, IncomingMessage } from "node:http";
import { request as httpRequest } from "#lib/http";
import type { ApiResponse } from "#client";
import { componentOf, type KubeObject } from "#kube";
import type { Context, Request } from "./context.ts";
import { listAt, numberAt, textAt } from "./fields.ts";
import { find } from "./read.ts";
import type { Target } from "./route.ts";
import { ApiFault, badRequest, methodNotAllowed } from "./status.ts";

/** Port of the node agent's read-only endpoint. */
const NODE_AGENT_PORT = 10_250;
/** Port of the debug endpoint of our own components in pods. */
const COMPONENT_PORT = 10_254;
/** How long a target may take to begin its answer. */
const ANSWER_WITHIN_MS = 30_000;

/** Headers that belong to one connection (RFC 9110 section 7.6.1), and the credentials, which are for us alone. */
const NOT_FORWARDED = new Set([
  "authorization",
  "connection",
  "content-length",
  "host",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

interface Destination {
  readonly address: string;
  readonly port: number;
  readonly path: string;
  /** Whether this is a debug endpoint of our own, which asks for the debug token. */
  readonly trusted: boolean;
}

/** `/api/v1/nodes/NAME[:PORT]/proxy/...` and the same for pods: forwards GET and HEAD to that address. */
export async function handleProxy(context: Context, request: Request, target: Target): Promise<ApiResponse> {
  if (request.method !== "GET") throw methodNotAllowed();
  const { name, port } = splitName(target.name ?? "");
  const object = find(context, { ...target, name });
  const to = target.kind.plural === "nodes" ? nodeDestination(object, port) : podDestination(object, port);
  const query = request.query.toString();
  const path = `${target.rest === "" ? "/" : target.rest}${query === "" ? "" : `?${query}`}`;
  return forward(context, request, { ...to, path });
}

/** `name`, `name:port` or `http:name:port`. */
function splitName(text: string): { name: string; port: string } {
  const parts = text.split(":");
  const [scheme, name = "", port = ""] = parts.length === 3 ? parts : ["http", ...parts];
  if (parts.length > 3 || (scheme !== "http" && scheme !== "")) {
    throw badRequest(
      `invalid proxy request ${JSON.stringify(text)}: only http is supported, as NAME, NAME:PORT or http:NAME:PORT`,
    );
  }
  return { name, port };
}

function portNumber(text: string, fallback: number): number {
  if (text === "") return fallback;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw badRequest(`invalid port ${JSON.stringify(text)}`);
  return port;
}

function nodeDestination(node: KubeObject, port: string): Destination {
  const address = listAt(node, "status", "addresses").find((item) => textAt(item, "type") === "InternalIP");
  if (address === undefined)
    throw unreachable(`node ${node.metadata?.name ?? ""} has no InternalIP address yet`);
  const number = portNumber(port, NODE_AGENT_PORT);
  return {
    address: textAt(address, "address"),
    port: number,
    path: "/",
    trusted: number === NODE_AGENT_PORT,
  };
}

function podDestination(pod: KubeObject, port: string): Destination {
  const address = textAt(pod, "status", "podIP");
  if (address === "") throw unreachable(`pod ${pod.metadata?.name ?? ""} has no address yet`);
  const ports = listAt(pod, "spec", "containers").flatMap((container) => listAt(container, "ports"));
  const named = ports.find((item) => port !== "" && textAt(item, "name") === port);
  const first = numberAt(named ?? ports[0], "containerPort") || 80;
  const number = named === undefined ? portNumber(port, first) : first;
  const trusted = number === COMPONENT_PORT && componentOf(pod) !== undefined;
  return { address, port: number, path: "/", trusted };
}

const unreachable = (why: string): ApiFault =>
  new ApiFault(503, "ServiceUnavailable", `error trying to reach service: ${why}`);

/** `pods/NAME/log`: asks the agent of the pod's node; the log comes as text, without end while it is followed. */
export async function handleLog(context: Context, request: Request, target: Target): Promise<ApiResponse> {
  if (request.method !== "GET") throw methodNotAllowed();
  const pod = find(context, target);
  const container = containerOf(pod, request.query.get("container") ?? "");
  const nodeName = textAt(pod, "spec", "nodeName");
  if (nodeName === "") throw badRequest(`pod ${target.name} does not have a host assigned`);
  const node = context.store.get("nodes", "", nodeName);
  if (node === undefined) throw unreachable(`node ${nodeName} of pod ${target.name} does not exist`);
  const query = new URLSearchParams(request.query);
  query.delete("container");
  const path = `/containerLogs/${target.namespace}/${target.name}/${container}`;
  const text = query.toString();
  return forward(context, request, {
    ...nodeDestination(node, ""),
    path: text === "" ? path : `${path}?${text}`,
  });
}

function containerOf(pod: KubeObject, wanted: string): string {
  const { name = "" } = pod.metadata ?? {};
  const names = (field: string): string[] => listAt(pod, "spec", field).map((item) => textAt(item, "name"));
  const all = [...names("containers"), ...names("initContainers"), ...names("ephemeralContainers")];
  if (wanted !== "") {
    if (!all.includes(wanted)) throw badRequest(`container ${wanted} is not valid for pod ${name}`);
    return wanted;
  }
  const chosen = pod.metadata?.annotations?.["kubectl.kubernetes.io/default-container"];
  if (chosen !== undefined && all.includes(chosen)) return chosen;
  const [only, ...others] = names("containers");
  if (only === undefined || others.length > 0) {
    throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${all.join(" ")}]`);
  }
  return only;
}

async function forward(context: Context, request: Request, to: Destination): Promise<ApiResponse> {
  const { dial } = context;
  if (dial === undefined) throw unreachable("this server has no way into the cluster's network");
  const headers: Record<string, string> = { host: `${to.address}:${to.port}` };
  for (const [name, value] of Object.entries(request.headers))
    if (!NOT_FORWARDED.has(name)) headers[name] = value;
  if (to.trusted) headers["authorization"] = `Bearer ${context.debugToken}`;
  const outgoing = httpRequest({
    method: "GET",
    path: to.path,
    headers,
    createConnection: () => dial(to.address, to.port),
    ...(request.signal === undefined ? {} : { signal: request.signal }),
  });
  const answer = await answerTo(outgoing);
  return { status: answer.statusCode ?? 502, headers: plainHeaders(answer), body: bodyOf(answer, outgoing) };
}

function answerTo(outgoing: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => outgoing.destroy(new Error("the target did not answer in time")),
      ANSWER_WITHIN_MS,
    );
    outgoing.once("response", (answer) => {
      clearTimeout(timer);
      resolve(answer);
    });
    outgoing.once("error", (error) => {
      clearTimeout(timer);
      reject(unreachable(error.message));
    });
    outgoing.end();
  });
}

function plainHeaders(answer: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(answer.headers)) {
    if (value === undefined || NOT_FORWARDED.has(name)) continue;
    headers[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return headers;
}

async function* bodyOf(answer: IncomingMessage, outgoing: ClientRequest): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of answer) if (chunk instanceof Uint8Array) yield chunk;
  } finally {
    outgoing.destroy();
  }
}

import type { ClientRequest, IncomingMessage } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import { InroadError } from "#lib/errors";
import { isIPv4, isIPv6 } from "#lib/ip";
import type { ApiRequest, ApiResponse, Transport } from "./types.ts";

export interface HttpsOptions {
  /** `https://172.30.0.1:6443`. The host must be an IP address: names are never looked up here. */
  readonly server: string;
  /** Certificates (PEM) that the server's one must be signed by; the system's if not given. */
  readonly ca?: string;
  /** The name that the server's certificate must carry; its IP address if not given. */
  readonly serverName?: string;
  /** How the address and port of the server are reached, where they are not what a socket connects to. */
  readonly connect?: (
    address: string,
    port: number,
  ) => { readonly host: string; readonly port: number; readonly localAddress?: string };
  /** Bearer token. */
  readonly token?: string;
  /** Client certificate and key (PEM). */
  readonly cert?: string;
  readonly key?: string;
  /** Milliseconds until the head of an answer must be there; 30 s if not given. The body may take its time. */
  readonly headTimeout?: number;
}

/** A transport that holds connections; `close` ends them all, with the requests on them. */
export interface ClosableTransport extends Transport {
  close(): void;
}

/** Carries requests over TLS with kept-alive connections, one request each at a time (HTTP/1.1). */
export function httpsTransport(options: HttpsOptions): ClosableTransport {
  const named = serverAddress(options.server);
  const server = options.connect?.(named.host, named.port) ?? named;
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 64,
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(options.cert === undefined ? {} : { cert: options.cert }),
    ...(options.key === undefined ? {} : { key: options.key }),
    ...(options.serverName === undefined ? {} : { servername: options.serverName }),
    // The certificate is that of the address we were given, wherever it leads.
    ...(server.host === named.host
      ? {}
      : {
          checkServerIdentity: (_: string, certificate: PeerCertificate) =>
            checkServerIdentity(named.host, certificate),
        }),
  });
  const open = new Set<{ destroy(error?: Error): void }>();
  return {
    request: (request) =>
      new Promise<ApiResponse>((resolve, reject) => {
        const outgoing = httpsRequest({ ...server, ...requestHead(request, options.token), agent });
        open.add(outgoing);
        sendRequest(outgoing, request, options.headTimeout ?? 30_000, resolve, reject);
        outgoing.once("close", () => open.delete(outgoing));
      }),
    close: () => {
      for (const one of open) one.destroy(new Error("the connection to the API server was closed"));
      agent.destroy();
    },
  };
}

/** How long a silent connection lives before the kernel starts to ask whether the other side is still there. */
const keepAliveProbeMs = 10_000;

function requestHead(request: ApiRequest, token: string | undefined) {
  const body = request.body === undefined ? undefined : Buffer.from(request.body);
  return {
    method: request.method,
    path: request.path,
    headers: {
      "user-agent": "inroad",
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-length": String(body.length) }),
      ...request.headers,
    },
  };
}

function sendRequest(
  outgoing: ClientRequest,
  request: ApiRequest,
  headTimeout: number,
  resolve: (response: ApiResponse) => void,
  reject: (error: Error) => void,
): void {
  const { signal } = request;
  const abort = (): void => void outgoing.destroy(new Error("the request was cancelled"));
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort, { once: true });
  const timer = setTimeout(
    () => outgoing.destroy(new Error(`no answer from the API server within ${headTimeout} ms`)),
    headTimeout,
  );
  outgoing.on("socket", (socket) => socket.setKeepAlive(true, keepAliveProbeMs));
  outgoing.on("response", (incoming: IncomingMessage) => {
    clearTimeout(timer);
    resolve({ status: incoming.statusCode ?? 0, headers: plainHeaders(incoming), body: incoming });
  });
  outgoing.on("error", reject);
  outgoing.once("close", () => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  });
  outgoing.end(request.body);
}

function plainHeaders(incoming: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(incoming.headersDistinct).map(([name, values = []]) => [name, values.join(", ")]),
  );
}

function serverAddress(server: string): { host: string; port: number } {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  const host = url?.hostname.replace(/^\[|\]$/g, "") ?? "";
  if (url?.protocol !== "https:" || url.pathname !== "/" || !(isIPv4(host) || isIPv6(host))) {
    throw new InroadError("BadServerUrl", `cannot use the API server URL "${server}"`, {
      mend: "give it as https://ADDRESS:PORT with an IP address and without a path",
    });
  }
  return { host, port: url.port === "" ? 443 : Number(url.port) };
}

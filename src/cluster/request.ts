/** Sends one request from a place of the cluster, as the client that a trace explains: own DNS question, own connection. */
import { randomBytes } from "node:crypto";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { once } from "node:events";
import type { Socket } from "node:net";
import { connect as tlsConnect, type TLSSocket } from "node:tls";
import { request as httpRequest } from "#lib/http";
import { InroadError, codeOf, messageOf } from "#lib/errors";
import { literalAddress } from "#lib/ip";
import { endsOf, reachEnd, tcpConnect, udpSocket, type NetPlace } from "#kernel";
import type { Place } from "./places.ts";
import { resolveName, socketsFrom, type Resolution, type ResolverConfig } from "#serve/dns";

export interface Sender extends Place {
  readonly caCertificate: string;
}

export interface RequestToSend {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What the client itself saw of one request. Times are milliseconds. */
export interface SentRequest {
  readonly requestId: string;
  readonly dns?: Resolution;
  readonly client?: { readonly address: string; readonly port: number };
  readonly server?: { readonly address: string; readonly port: number };
  readonly tls?: {
    readonly serverName: string;
    readonly subject: string;
    readonly issuer: string;
    readonly problem?: string;
  };
  readonly response?: {
    readonly status: number;
    readonly headers: IncomingHttpHeaders;
    readonly body: string;
  };
  readonly error?: { readonly code: string; readonly message: string };
  readonly timing: {
    readonly dns?: number;
    readonly connect?: number;
    readonly tls?: number;
    readonly total: number;
  };
}

const connectTimeoutMs = 5_000;
const answerTimeoutMs = 60_000;
const bodyKept = 64 * 1024;

/** Sends it on a new connection. Failures on the way are part of the result; only a bad URL throws. */
export async function sendRequest(sender: Sender, wanted: RequestToSend): Promise<SentRequest> {
  const url = new URL(wanted.url);
  const started = performance.now();
  const since = (from: number): number => Math.round((performance.now() - from) * 100) / 100;
  const requestId = ownId(wanted.headers) ?? randomBytes(16).toString("hex");
  const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
  const seen: { -readonly [K in keyof SentRequest]?: SentRequest[K] } = {};
  const timing: { dns?: number; connect?: number; tls?: number } = {};
  let socket: Socket | undefined;
  try {
    const address = await addressAt(sender, url.hostname, seen);
    timing.dns = since(started);
    const connecting = performance.now();
    const connection = tcpConnect(sender.ns, address, port);
    socket = connection;
    // Who waits for an event hears of errors by it; between two of them nobody does.
    socket.on("error", () => undefined);
    seen.server = { address, port };
    // Where its first packet is kept back, the connection is found by its own end.
    setImmediate(() => noteOwnEnd(sender.ns, connection, seen));
    await within(once(socket, "connect"), connectTimeoutMs, socket, "connect");
    timing.connect = since(connecting);
    noteOwnEnd(sender.ns, socket, seen);
    const securing = performance.now();
    const channel = url.protocol === "https:" ? await secure(sender, url.hostname, socket, seen) : socket;
    if (channel !== socket) timing.tls = since(securing);
    seen.response = await exchange(channel, url, wanted, requestId);
    channel.destroy();
  } catch (error) {
    seen.error = { code: codeOf(error) ?? "Failed", message: messageOf(error) };
  } finally {
    socket?.destroy();
  }
  return { ...seen, requestId, timing: { ...timing, total: since(started) } };
}

function noteOwnEnd(
  ns: NetPlace,
  socket: Socket,
  seen: { -readonly [K in keyof SentRequest]?: SentRequest[K] },
): void {
  if (socket.localAddress !== undefined) seen.client = endsOf(ns, socket).local;
}

/** The id that the user gave the request, in whatever case the header is written. */
function ownId(headers: Readonly<Record<string, string>>): string | undefined {
  return Object.entries(headers).find(([name]) => name.toLowerCase() === "x-request-id")?.[1];
}

/** The resolver of the place: its name server, its search list, its sockets. */
function resolverOf(sender: Place): ResolverConfig {
  return {
    nameservers: [reachEnd(sender.ns, sender.nameserver, 53, "UDP")],
    search: sender.search,
    ndots: sender.ndots,
    timeoutMs: 2_000,
    sockets: socketsFrom({
      udpDescriptor: () => udpSocket(sender.ns, "0.0.0.0", 0),
      tcpConnect: (address, port) => tcpConnect(sender.ns, address, port),
    }),
  };
}

/** The address that a name has for programs at a place; `localhost` is the place. Rejects with `NameNotResolved`. */
export async function addressAt(
  sender: Place,
  host: string,
  seen: { dns?: Resolution } = {},
): Promise<string> {
  const literal = literalAddress(host);
  if (literal !== undefined) return literal;
  if (host === "localhost") return "127.0.0.1";
  for (const type of sender.recordTypes) {
    seen.dns = await resolveName(resolverOf(sender), host, type);
    for (const record of seen.dns.records)
      if (record.type === "A" || record.type === "AAAA") return record.address;
    if (seen.dns.outcome !== "nodata") break;
  }
  throw new InroadError("NameNotResolved", `${host}: ${seen.dns?.outcome}`);
}

/** Completes TLS. A certificate that does not verify is reported, not refused: a trace explains it. */
async function secure(
  sender: Sender,
  host: string,
  socket: Socket,
  seen: { -readonly [K in keyof SentRequest]?: SentRequest[K] },
): Promise<TLSSocket> {
  const serverName = literalAddress(host) === undefined ? host : "";
  const channel = tlsConnect({
    socket,
    ca: sender.caCertificate,
    rejectUnauthorized: false,
    ALPNProtocols: ["http/1.1"],
    ...(serverName === "" ? {} : { servername: serverName }),
  });
  await within(once(channel, "secureConnect"), connectTimeoutMs, channel, "TLS handshake");
  const certificate = channel.getPeerCertificate();
  seen.tls = {
    serverName,
    subject: certificate.subject?.CN?.toString() ?? "",
    issuer: certificate.issuer?.CN?.toString() ?? "",
    ...(channel.authorized ? {} : { problem: messageOf(channel.authorizationError) }),
  };
  return channel;
}

async function exchange(
  channel: Socket,
  url: URL,
  wanted: RequestToSend,
  requestId: string,
): Promise<{ status: number; headers: IncomingHttpHeaders; body: string }> {
  const outgoing = httpRequest({
    createConnection: () => channel,
    method: wanted.method,
    path: url.pathname + url.search,
    headers: {
      host: url.host,
      "user-agent": "inroad",
      ...wanted.headers,
      "x-request-id": requestId,
      connection: "close",
    },
  });
  outgoing.end();
  const [answer]: IncomingMessage[] = await within(
    once(outgoing, "response"),
    answerTimeoutMs,
    channel,
    "answer",
  );
  if (answer === undefined) throw new InroadError("NoAnswer", "no answer");
  const body = await within(bodyOf(answer), answerTimeoutMs, channel, "end of the answer");
  return { status: answer.statusCode ?? 0, headers: answer.headers, body };
}

async function bodyOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer) {
    const bytes = Buffer.from(chunk);
    if (size < bodyKept) chunks.push(bytes);
    size += bytes.length;
  }
  return Buffer.concat(chunks).subarray(0, bodyKept).toString();
}

/** Waits for an event of a socket, and destroys it when that takes too long. */
async function within<T>(event: Promise<T>, timeoutMs: number, socket: Socket, what: string): Promise<T> {
  const timer = setTimeout(
    () => socket.destroy(new InroadError("ETIMEDOUT", `${what}: nothing after ${timeoutMs} ms`)),
    timeoutMs,
  );
  try {
    return await event;
  } finally {
    clearTimeout(timer);
  }
}

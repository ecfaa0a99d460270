/**
 * The way into a cluster without namespaces for programs that have sockets of their own: SOCKS 5 and HTTP. Whoever
 * comes to a place's proxy is at that place: its resolver, its address.
 */
import { createServer, type Socket } from "node:net";
import { clientProxyPort, reachEnd, tcpConnect, tcpListener, type LoopbackPlace } from "#kernel";
import { codeOf, messageOf } from "#lib/errors";
import { join } from "#lib/join";
import type { Log } from "#lib/log";
import {
  longestSocksMessage,
  readSocksGreeting,
  readSocksRequest,
  socksAnswer,
  socksMethod,
  socksReplies,
  type SocksRead,
  type SocksReply,
  type SocksRequest,
} from "#wire/socks5";
import { createHttpProxy } from "./http-proxy.ts";
import type { Place } from "./places.ts";
import { addressAt } from "./request.ts";

/** A client that says nothing for so long is sent away, milliseconds. */
const PATIENCE_MS = 10_000;
/** Of one place, at one time. */
const MOST_CLIENTS = 1024;

export interface ClientProxies {
  /** Opens the place's proxy, if it is not there yet, and returns the variables that lead programs to it. */
  variables(place: Place & { readonly ns: LoopbackPlace }): Promise<Readonly<Record<string, string>>>;
  close(): Promise<void>;
}

export function createClientProxies(log: Log): ClientProxies {
  /** By place: its address and search list, since an address comes to other pods, in other namespaces. */
  const open = new Map<string, Promise<{ close(): void }>>();

  const close = async (key: string): Promise<void> => {
    const server = open.get(key);
    open.delete(key);
    (await server?.catch(() => undefined))?.close();
  };
  const openAt = async (place: Place & { readonly ns: LoopbackPlace }): Promise<void> => {
    const prefix = `${place.ns.address} `;
    const key = prefix + place.search.join();
    for (const other of open.keys()) if (other.startsWith(prefix) && other !== key) await close(other);
    const server = open.get(key) ?? listen(place, log);
    open.set(key, server);
    await server;
  };

  return {
    async variables(place) {
      await openAt(place);
      const end = reachEnd(place.ns, place.ns.address, clientProxyPort);
      const socks = `socks5h://${end.address}:${end.port}`;
      return {
        ALL_PROXY: socks,
        all_proxy: socks,
        INROAD_HTTP_PROXY: `http://${end.address}:${end.port}`,
      };
    },
    async close() {
      await Promise.all([...open.keys()].map(close));
    },
  };
}

function listen(place: Place & { readonly ns: LoopbackPlace }, log: Log): Promise<{ close(): void }> {
  const http = createHttpProxy((end, client) => dialAt(place, end, client));
  const server = createServer({ allowHalfOpen: true }, (client) => {
    client.on("error", () => undefined);
    client.setTimeout(PATIENCE_MS, () => client.destroy());
    client.once("readable", () => {
      const first: Buffer | null = client.read();
      if (first === null) return;
      client.unshift(first);
      if (first[0] === 5) serveSocks(client, place).catch(() => client.destroy());
      else http.emit("connection", client);
    });
  });
  server.maxConnections = MOST_CLIENTS;
  server.on("error", (error) => log.warn("client proxy", { reason: messageOf(error) }));
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ fd: tcpListener(place.ns, "0.0.0.0", clientProxyPort) }, () => resolve(server));
  });
}

async function serveSocks(client: Socket, place: Place): Promise<void> {
  const greeting = await read(client, readSocksGreeting);
  if (greeting === undefined) return;
  client.write(socksMethod(greeting));
  const request = await read(client, readSocksRequest);
  if (request === undefined) return;
  try {
    const upstream = await dialAt(place, request, client);
    client.setTimeout(0);
    client.write(socksAnswer(socksReplies.succeeded));
    await join(client, upstream);
  } catch (error) {
    client.end(socksAnswer(replyFor(error)));
  }
}

/** Reads one message; what follows it stays. Answers nonsense and returns undefined. */
async function read<T>(client: Socket, parse: (bytes: Uint8Array) => SocksRead<T>): Promise<T | undefined> {
  let bytes = Buffer.alloc(0);
  for (;;) {
    const chunk: Buffer | null = client.read();
    if (chunk !== null) bytes = Buffer.concat([bytes, chunk]);
    const result = parse(bytes);
    if (result.kind === "message") {
      if (bytes.length > result.length) client.unshift(bytes.subarray(result.length));
      return result.value;
    }
    if (result.kind === "bad" || bytes.length > longestSocksMessage || client.readableEnded) {
      client.end(socksAnswer(result.kind === "bad" ? result.reply : socksReplies.failure));
      return undefined;
    }
    await new Promise<void>((resolve, reject) => {
      client.once("readable", resolve);
      client.once("close", () => reject(new Error("the client is gone")));
    });
  }
}

/** A connection from the place, made; given up when the client goes. Rejects with the error of the resolver or of the socket. */
async function dialAt(place: Place, { host, port }: SocksRequest, client: Socket): Promise<Socket> {
  const address = await addressAt(place, host);
  const own = "address" in place.ns ? place.ns.address : address;
  const socket = tcpConnect(place.ns, /^127\.0\.0\.1$/.test(address) ? own : address, port, {
    allowHalfOpen: true,
  });
  const giveUp = (): void => void socket.destroy();
  client.once("close", giveUp);
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
    socket.once("close", reject);
  });
  client.off("close", giveUp);
  return socket;
}

function replyFor(error: unknown): SocksReply {
  switch (codeOf(error)) {
    case "ECONNREFUSED":
      return socksReplies.refused;
    case "ETIMEDOUT":
      return socksReplies.expired;
    case "NameNotResolved":
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return socksReplies.unreachable;
    default:
      return socksReplies.failure;
  }
}

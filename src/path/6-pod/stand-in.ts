/**
 * A stand-in for a container whose image is not run: it listens on the container's ports and answers who it is and
 * what it received, as one line of compact JSON. All stand-ins share the main thread; only their sockets live in the
 * pods' namespaces.
 */
import dgram from "node:dgram";
import type { IncomingMessage, Server as HttpServer, ServerResponse } from "node:http";
import { createServer as createTcpServer } from "node:net";
import type { Server as TcpServer, Socket } from "node:net";
import { createServer as createHttpServer } from "#lib/http";
import { messageOf } from "#lib/errors";
import { clusterEnd, endsOf, tcpListener, udpSocket } from "#kernel";
import { behaviourAnnotation, behaviourFor, changeBehaviour, goodBehaviour } from "./behaviour.ts";
import type { Behaviour } from "./behaviour.ts";
import { podId } from "./pod-object.ts";
import type { Port } from "./pod-object.ts";
import type { AnsweredRequest, ContainerEnd, ContainerPlace, Runner, RunningContainer } from "./runner.ts";

/** How long a stand-in goes on accepting after SIGTERM, so that everybody learns that it leaves. */
const DRAIN_MS = 500;
/** Requests that a stand-in remembers. */
const ACCOUNT_SIZE = 1000;
const CONTROL = "/_inroad/";

export const standInRunner: Runner = {
  kind: "stand-in",
  start: (place) => Promise.resolve(startStandIn(place)),
};

function startStandIn(place: ContainerPlace): RunningContainer {
  const { promise: ended, resolve: end } = Promise.withResolvers<ContainerEnd>();
  const account: AnsweredRequest[] = [];
  const listeners = new Map<string, { close(): void }>();
  const sockets = new Set<Socket>();
  let behaviour = firstBehaviour(place);
  let leaving = false;
  let timer: NodeJS.Timeout | undefined;

  const http = createHttpServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      place.log.error("stand-in failed", { reason: messageOf(error) });
      response.destroy();
    });
  });
  http.on("clientError", (_error, socket) => socket.destroy());

  const finish = (code: number): void => {
    clearTimeout(timer);
    for (const listener of listeners.values()) listener.close();
    listeners.clear();
    for (const socket of sockets) socket.destroy();
    end({ exitCode: code, reason: code === 0 ? "Completed" : "Error" });
  };

  const drain = (): void => {
    leaving = true;
    timer = setTimeout(() => {
      for (const listener of listeners.values()) listener.close();
      http.closeIdleConnections();
      whenEmpty(sockets, () => finish(0));
    }, DRAIN_MS);
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const wishes = behaviourFor(behaviour, request.headers);
    const bodyBytes = await countBody(request);
    const path = request.url ?? "/";
    if (request.method === "POST" && path.startsWith(CONTROL)) return control(path, response);
    if (wishes.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, wishes.delayMs));
    const status = wishes.ready ? wishes.status : 503;
    if (leaving) response.setHeader("connection", "close");
    reply(response, status, describe(place, request, bodyBytes));
    const record = recordOf(place, request, status);
    account.push(record);
    if (account.length > ACCOUNT_SIZE) account.shift();
    place.output.line(`${record.method} ${path} ${status} from ${record.peer.address}`);
  };

  const control = (path: string, response: ServerResponse): void => {
    const { pathname, search } = new URL(path, "http://stand-in");
    if (pathname === `${CONTROL}exit`) {
      const code = Number(new URLSearchParams(search).get("code") ?? 1);
      if (!Number.isInteger(code) || code < 0 || code > 255) {
        return reply(response, 400, { problem: "an exit code is a number from 0 to 255", path });
      }
      response.on("close", () => finish(code));
      return reply(response, 202, { exiting: code });
    }
    if (pathname !== `${CONTROL}behave`) return reply(response, 404, { problem: "no such control", path });
    const next = changeBehaviour(behaviour, search);
    if ("problem" in next) return reply(response, 400, next);
    behaviour = next;
    place.onReadiness();
    reply(response, 200, behaviour);
  };

  const setPorts = (ports: readonly Port[]): void => {
    if (leaving) return;
    const wanted = new Map(ports.map((port) => [`${port.protocol} ${port.port}`, port]));
    for (const [key, listener] of listeners) {
      if (wanted.has(key)) continue;
      listener.close();
      listeners.delete(key);
    }
    for (const [key, port] of wanted) {
      if (listeners.has(key)) continue;
      try {
        listeners.set(key, listenOn(place, port, http, sockets));
      } catch (error) {
        place.log.warn(`stand-in cannot listen on ${key}`, { reason: messageOf(error) });
        place.output.line(`cannot listen on ${key}: ${messageOf(error)}`);
      }
    }
  };

  setPorts(place.ports);
  place.output.line(
    `stand-in for ${place.container.image ?? "?"}: ${[...listeners.keys()].join(", ") || "no ports"}`,
  );
  return {
    ended,
    ready: () => (behaviour.ready ? undefined : false),
    signal(name) {
      if (name === "SIGKILL") finish(137);
      else if (behaviour.onSigterm === "exit") finish(0);
      else if (behaviour.onSigterm === "drain" && !leaving) drain();
    },
    setPorts,
    account: () => account,
  };
}

function firstBehaviour({ pod, output }: ContainerPlace): Behaviour {
  const wanted = changeBehaviour(goodBehaviour, pod.metadata?.annotations?.[behaviourAnnotation] ?? "");
  if (!("problem" in wanted)) return wanted;
  output.line(`annotation ${behaviourAnnotation} ignored: ${wanted.problem}`);
  return goodBehaviour;
}

/** One port in each of the pod's address families. */
function listenOn(
  place: ContainerPlace,
  { port, protocol }: Port,
  http: HttpServer,
  sockets: Set<Socket>,
): { close(): void } {
  const open: { close(): void }[] = [];
  const close = (): void => open.forEach((listener) => listener.close());
  try {
    for (const address of listenAddresses(place)) {
      open.push(
        protocol === "TCP" ? listenTcp(place, address, port, http, sockets) : echoUdp(place, address, port),
      );
    }
  } catch (error) {
    close();
    throw error;
  }
  return { close };
}

/** Requests of all ports go to one HTTP server. */
function listenTcp(
  place: ContainerPlace,
  address: string,
  port: number,
  http: HttpServer,
  sockets: Set<Socket>,
): TcpServer {
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    http.emit("connection", socket);
  });
  server.on("error", (error) => place.log.warn("stand-in TCP", { reason: messageOf(error) }));
  return server.listen({ fd: tcpListener(place.ns, address, port) });
}

function echoUdp(place: ContainerPlace, address: string, port: number): dgram.Socket {
  const socket = dgram.createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.on("message", (datagram, peer) => {
    // Port 0 cannot be answered.
    if (peer.port === 0) return;
    const text = {
      ...identity(place, port),
      protocol: "UDP",
      bytes: datagram.length,
      peer: clusterEnd(place.ns, { address: peer.address, port: peer.port }, "UDP"),
      time: new Date().toISOString(),
    };
    socket.send(`${JSON.stringify(text)}\n`, peer.port, peer.address);
  });
  socket.on("error", (error) => place.log.warn("stand-in UDP", { reason: messageOf(error) }));
  socket.bind({ fd: udpSocket(place.ns, address, port) });
  return socket;
}

/** In the node's own network a pod must not take the port on every address (node ports live there too). */
function listenAddresses({ address, addresses, node }: ContainerPlace): readonly string[] {
  if (address === node.address) return addresses;
  return addresses.map((one) => (one.includes(":") ? "::" : "0.0.0.0"));
}

function identity(place: ContainerPlace, port: number): Record<string, unknown> {
  const { namespace, name } = podId(place.pod);
  return {
    pod: name,
    namespace,
    node: place.node.name,
    address: place.address,
    container: place.container.name,
    containerPort: port,
  };
}

function describe(
  place: ContainerPlace,
  request: IncomingMessage,
  bodyBytes: number,
): Record<string, unknown> {
  const { local, remote } = endsOf(place.ns, request.socket);
  return {
    ...identity(place, local.port),
    method: request.method,
    path: request.url,
    httpVersion: request.httpVersion,
    headers: request.headers,
    bodyBytes,
    peer: remote,
    time: new Date().toISOString(),
  };
}

function recordOf(place: ContainerPlace, request: IncomingMessage, status: number): AnsweredRequest {
  const { local, remote } = endsOf(place.ns, request.socket);
  const id = request.headers["x-request-id"];
  return {
    time: new Date().toISOString(),
    requestId: typeof id === "string" ? id : undefined,
    containerPort: local.port,
    method: request.method ?? "",
    path: request.url ?? "",
    status,
    peer: remote,
  };
}

function reply(response: ServerResponse, status: number, value: object): void {
  const body = `${JSON.stringify(value)}\n`;
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
  });
  response.end(body);
}

async function countBody(request: IncomingMessage): Promise<number> {
  let bytes = 0;
  try {
    for await (const chunk of request) bytes += Buffer.isBuffer(chunk) ? chunk.length : 0;
  } catch {
    // The client went away; the answer will go nowhere, which is right.
  }
  return bytes;
}

function whenEmpty(sockets: ReadonlySet<Socket>, then: () => void): void {
  let left = sockets.size;
  if (left === 0) return then();
  for (const socket of sockets) {
    socket.on("close", () => {
      left -= 1;
      if (left === 0) then();
    });
  }
}

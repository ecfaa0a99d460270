/** The engine on `net.Socket` and `tls.TLSSocket`. Thin: it only translates between sockets and the engine's calls. */
import { connect, type Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { connectOptions, endsOf } from "#kernel/sockets";
import { codeOf } from "#lib/errors";
import { ClientConnection } from "./connection.ts";
import type { EngineContext, Peer, Pipe, UpstreamEvents, UpstreamPipe } from "./context.ts";

/** How long a complete exchange's upstream may take to close; closing first ourselves would keep its port in TIME_WAIT. */
const releaseMs = 1_000;

/** Serves a client's socket until it closes. Undefined when the client is already gone. */
export function serveSocket(socket: Socket, context: EngineContext): ClientConnection | undefined {
  const peer = peerOf(socket);
  if (peer === undefined) {
    socket.destroy();
    return undefined;
  }
  socket.setNoDelay(true);
  const timer = createTimer(() => connection.timeout());
  const connection = new ClientConnection(context, peer, pipeOf(socket), (ms) => timer.start(ms));
  socket.on("data", (chunk: Buffer) => connection.bytes(chunk));
  socket.on("drain", () => connection.drained());
  socket.on("end", () => connection.ended());
  socket.on("finish", () => connection.flushed());
  // An error is always followed by `close`, which says all that the engine needs.
  socket.on("error", () => undefined);
  socket.on("close", () => {
    timer.stop();
    connection.closed();
  });
  return connection;
}

function peerOf(socket: Socket): Peer | undefined {
  if (socket.remoteAddress === undefined || socket.remotePort === undefined) return undefined;
  const { local, remote } = endsOf(undefined, socket);
  const secure = socket instanceof TLSSocket;
  const serverName =
    socket instanceof TLSSocket && typeof socket.servername === "string" ? socket.servername : undefined;
  return {
    address: plainAddress(remote.address),
    port: remote.port,
    localPort: local.port,
    secure,
    serverName,
  };
}

/** IPv4 clients of a dual-stack socket have addresses such as `::ffff:203.0.113.10`. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}

function pipeOf(socket: Socket): Pipe {
  let corked = false;
  const uncork = (): void => {
    corked = false;
    socket.uncork();
  };
  return {
    write: (data) => {
      if (socket.destroyed || socket.writableEnded) return true;
      // Head, chunk sizes and data of one turn leave in one system call.
      if (!corked) {
        corked = true;
        socket.cork();
        process.nextTick(uncork);
      }
      return typeof data === "string" ? socket.write(data, "latin1") : socket.write(data);
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end: () => void socket.end(),
    close: () => void socket.destroy(),
    abort: () => abort(socket),
  };
}

/** A reset, so that a body that ends with the connection is not taken for complete. TLS tells by its missing end. */
function abort(socket: Socket): void {
  if (socket.destroyed) return;
  if (socket instanceof TLSSocket || socket.connecting) socket.destroy();
  else socket.resetAndDestroy();
}

/** Opens a connection to an upstream. `address` is an IP address, never a name. */
export function dial(address: string, port: number, events: UpstreamEvents): UpstreamPipe {
  const socket = connect({ ...connectOptions(address, port), noDelay: true, allowHalfOpen: true });
  let failure: string | undefined;
  let ended = false;
  let released = false;
  socket.on("connect", () => events.connected(endsOf(undefined, socket).local));
  socket.on("data", (chunk: Buffer) => released || events.bytes(chunk));
  socket.on("drain", () => released || events.drained());
  socket.on("end", () => {
    ended = true;
    if (released) socket.destroy();
    else events.ended();
  });
  socket.on("error", (error) => {
    failure = codeOf(error) ?? "EUNKNOWN";
  });
  socket.on("close", () => released || events.closed(failure));
  return {
    ...pipeOf(socket),
    local: () => {
      const { localAddress, localPort } = socket;
      return localPort === undefined ? undefined : { address: localAddress ?? "", port: localPort };
    },
    abort: () => {
      released = true;
      abort(socket);
    },
    release: () => {
      released = true;
      if (ended) socket.destroy();
      else awaitEnd(socket);
    },
  };
}

/** Reads on until the other side ends, for a while. */
function awaitEnd(socket: Socket): void {
  socket.resume();
  const timer = setTimeout(() => abort(socket), releaseMs).unref();
  socket.on("close", () => clearTimeout(timer));
}

/** One timer that is restarted often: the same duration only moves its end. */
function createTimer(fire: () => void): { start(milliseconds: number): void; stop(): void } {
  let timer: NodeJS.Timeout | undefined;
  let duration = 0;
  return {
    start: (milliseconds) => {
      if (timer !== undefined && milliseconds === duration) {
        timer.refresh();
        return;
      }
      clearTimeout(timer);
      duration = milliseconds;
      timer = setTimeout(fire, milliseconds);
    },
    stop: () => clearTimeout(timer),
  };
}

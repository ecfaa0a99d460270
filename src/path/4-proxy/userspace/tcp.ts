/** One TCP connection through the proxy: to the first endpoint that answers, then bytes both ways until both ends are done. */
import type { Socket } from "node:net";
import { join } from "#lib/join";
import type { Backend } from "../rotation.ts";

/** How long one endpoint may take to accept, milliseconds. */
const CONNECT_MS = 3000;

export interface Relaying {
  /** In the order in which they are tried. */
  readonly endpoints: readonly Backend[];
  /** Begins a connection; may throw. Half-open must be allowed. */
  readonly dial: (backend: Backend) => Socket;
  /** Called once when an endpoint accepted; `tried` counts it. */
  readonly connected: (backend: Backend, upstream: Socket, tried: number) => void;
  /** Called once when all is over, whether it connected or not. */
  readonly ended: () => void;
}

/** Relays a paused client until it is over; where no endpoint accepts, the client is reset. Never throws. */
export async function relay(client: Socket, relaying: Relaying): Promise<void> {
  try {
    for (const [index, backend] of relaying.endpoints.entries()) {
      const upstream = await connectTo(backend, relaying.dial);
      if (upstream === undefined) continue;
      if (client.destroyed) {
        upstream.destroy();
        return;
      }
      relaying.connected(backend, upstream, index + 1);
      await join(client, upstream);
      return;
    }
    if (!client.destroyed) client.resetAndDestroy();
  } finally {
    relaying.ended();
  }
}

/** The connected socket; undefined when it was refused or took too long. */
function connectTo(backend: Backend, dial: Relaying["dial"]): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    let socket: Socket;
    try {
      socket = dial(backend);
    } catch {
      return resolve(undefined);
    }
    const timer = setTimeout(() => socket.destroy(), CONNECT_MS);
    socket.once("connect", () => {
      clearTimeout(timer);
      resolve(socket);
    });
    // It stays for the life of the socket: an error without a listener would end the process.
    socket.on("error", () => undefined);
    socket.once("close", () => {
      clearTimeout(timer);
      resolve(undefined);
    });
  });
}

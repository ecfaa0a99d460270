/** A TCP connection passed on: to the first end that accepts, then bytes both ways until both sides are done. */
import type { Socket } from "node:net";
import { join } from "./join.ts";

/** How long one end may take to accept, milliseconds. */
const CONNECT_MS = 3000;

export interface Relaying<End> {
  /** In the order in which they are tried. */
  readonly ends: readonly End[];
  /** Begins a connection; may throw. Half-open must be allowed. */
  readonly dial: (end: End) => Socket;
  /** Called once when an end accepted, before any bytes are passed; `tried` counts it. */
  readonly connected: (end: End, upstream: Socket, tried: number) => void;
  /** Called once when all is over, whether it connected or not. */
  readonly ended: () => void;
}

/** Relays a paused client until it is over; where no end accepts, the client is reset. Never throws. */
export async function relay<End>(client: Socket, relaying: Relaying<End>): Promise<void> {
  try {
    for (const [index, end] of relaying.ends.entries()) {
      const upstream = await connectTo(end, relaying.dial);
      if (upstream === undefined) continue;
      if (client.destroyed) {
        upstream.destroy();
        return;
      }
      relaying.connected(end, upstream, index + 1);
      await join(client, upstream);
      return;
    }
    if (!client.destroyed) client.resetAndDestroy();
  } finally {
    relaying.ended();
  }
}

/** The connected socket; undefined when it was refused or took too long. */
function connectTo<End>(end: End, dial: Relaying<End>["dial"]): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    let socket: Socket;
    try {
      socket = dial(end);
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

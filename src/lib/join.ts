import type { Socket } from "node:net";

/**
 * Passes bytes, ends and resets through between two sockets, each direction by itself; a reader that is slow stops the
 * writer. Half-open connections stay half-open where the sockets allow it. Fulfilled when both are closed.
 */
export async function join(a: Socket, b: Socket): Promise<void> {
  const closed = [a, b].map((socket) => new Promise((resolve) => socket.once("close", resolve)));
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.setNoDelay(true);
    from.on("error", () => reset(to));
    // Closed before its end: the other side must not take what came for the whole.
    from.once("close", () => {
      if (!from.readableEnded) reset(to);
    });
    from.pipe(to);
  }
  await Promise.all(closed);
}

function reset(socket: Socket): void {
  if (!socket.destroyed) socket.resetAndDestroy();
}

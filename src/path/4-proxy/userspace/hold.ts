/** What is dropped elsewhere: the handshake is done by the kernel here, so the connection is kept and never answered. */
import type { Socket } from "node:net";

/** Longer than clients wait for an answer, milliseconds; and how many may wait at one time. */
const HOLD_MS = 60_000;
const MOST_HELD = 256;

/** Keeps sockets silent until their clients give up, at most a minute; beyond 256 the oldest is reset. */
export function createHold(): (socket: Socket) => void {
  const held = new Set<Socket>();
  return (socket) => {
    held.add(socket);
    const [oldest] = held;
    if (held.size > MOST_HELD) oldest?.resetAndDestroy();
    const timer = setTimeout(() => socket.destroy(), HOLD_MS);
    timer.unref();
    socket.once("close", () => {
      clearTimeout(timer);
      held.delete(socket);
    });
    // What it sends is read and forgotten, so that its end is seen.
    socket.on("end", () => socket.destroy());
    socket.resume();
  };
}

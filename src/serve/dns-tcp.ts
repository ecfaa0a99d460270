/** One client connection of a DNS server over TCP (RFC 7766): pipelined queries, answers as they become ready. */
import type { Socket } from "node:net";
import { createFrameReader, frame } from "#wire/dns";

/** Queries of one connection that may wait for their answer at one time; reading pauses until there are fewer. */
const MAX_IN_FLIGHT = 64;

/** Reads queries and writes what `answer` says until either side ends; errors of the socket end it quietly. */
export function serveConnection(
  socket: Socket,
  answer: (query: Uint8Array) => Uint8Array | undefined | Promise<Uint8Array>,
  options: { readonly idleMs: number },
): void {
  const frames = createFrameReader();
  const waiting: Uint8Array[] = [];
  let inFlight = 0;
  let ended = false;

  const nextQuery = (): Uint8Array | undefined =>
    inFlight < MAX_IN_FLIGHT && !socket.writableNeedDrain ? waiting.shift() : undefined;
  const proceed = (): void => {
    for (let query = nextQuery(); query !== undefined; query = nextQuery()) start(query);
    if (waiting.length > 0) socket.pause();
    else socket.resume();
    if (ended && inFlight === 0 && waiting.length === 0) socket.end();
  };
  const start = (query: Uint8Array): void => {
    const reply = answer(query);
    if (!(reply instanceof Promise)) {
      // Only a message that is no query at all has no answer; whoever sends that is no DNS client.
      if (reply === undefined) socket.destroy();
      else socket.write(frame(reply));
      return;
    }
    inFlight += 1;
    void reply.then((bytes) => {
      inFlight -= 1;
      if (socket.writable) socket.write(frame(bytes));
      proceed();
    });
  };

  socket.setTimeout(options.idleMs, () => socket.destroy());
  socket.on("error", () => socket.destroy());
  socket.on("drain", proceed);
  socket.on("end", () => {
    ended = true;
    proceed();
  });
  socket.on("data", (chunk) => {
    if (typeof chunk === "string") return;
    waiting.push(...frames.push(chunk));
    proceed();
  });
}

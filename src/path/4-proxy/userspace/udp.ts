/** One UDP flow through the proxy: the datagrams of one client to one endpoint, and the answers back, until it is idle. */
import { createSocket } from "node:dgram";
import type { DatagramFlow } from "#kernel";

/** As nf_conntrack_udp_timeout_stream, milliseconds. */
const IDLE_MS = 120_000;
/** Datagrams that wait while the socket is made; more are lost, as datagrams may be. */
const MOST_WAITING = 64;

export interface FlowOptions {
  /** A bound UDP socket; undefined: any address of the host will do. */
  readonly fd: number | undefined;
  readonly to: { readonly address: string; readonly port: number };
  readonly reply: (bytes: Uint8Array) => void;
  /** Called when the near port is known. */
  readonly opened: (localPort: number) => void;
  /** Called once at its end: idle, closed, or refused by the endpoint. */
  readonly ended: () => void;
  readonly idleMs?: number;
}

export function openFlow(options: FlowOptions): DatagramFlow {
  const { fd, to, reply, opened, ended, idleMs = IDLE_MS } = options;
  const socket = createSocket("udp4");
  let waiting: Uint8Array[] | undefined = [];
  let over = false;
  const close = (): void => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    socket.close();
    ended();
  };
  const timer = setTimeout(close, idleMs);
  const send = (bytes: Uint8Array): void => {
    if (over) return;
    timer.refresh();
    if (waiting === undefined) socket.send(bytes, (error) => error !== null && close());
    else if (waiting.length < MOST_WAITING) waiting.push(bytes);
  };
  // A closed port is told by an error of a connected socket; the client's next datagram begins a new flow.
  socket.on("error", close);
  socket.on("message", (bytes) => {
    timer.refresh();
    reply(bytes);
  });
  socket.once("connect", () => {
    opened(socket.address().port);
    const first = waiting ?? [];
    waiting = undefined;
    for (const bytes of first) send(bytes);
  });
  socket.bind(fd === undefined ? { port: 0 } : { fd }, () => socket.connect(to.port, to.address));
  return { send, close };
}

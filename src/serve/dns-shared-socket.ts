/** Carries queries through one UDP socket that lives in another namespace (the host's), where none can be opened. */
import type { RemoteInfo, Socket } from "node:dgram";
import { randomInt } from "node:crypto";
import { InroadError } from "#lib/errors";
import { decodeHeader, isResponseTo, withId } from "#wire/dns";
import { timedOut, type DnsCarrier } from "./dns-carrier.ts";
import type { DnsEndpoint } from "./dns-sockets.ts";

export interface SharedSocketCarrier {
  readonly carry: DnsCarrier;
  /** Rejects what waits; does not close the socket. */
  close(): void;
}

interface Waiting {
  readonly query: Uint8Array;
  readonly server: DnsEndpoint;
  settle(reply: Uint8Array | undefined): void;
}

/** Half of all ids: beyond that a forged answer would find one that waits too easily. */
const MAX_WAITING = 0x8000;

/**
 * @param options.socket a bound UDP socket; all its messages are taken.
 * @param options.timeoutMs how long a server may take, milliseconds; 2,000 if not given.
 * @param options.tcp carries what goes by TCP, which one UDP socket cannot.
 */
export function createSharedSocketCarrier(options: {
  readonly socket: Socket;
  readonly timeoutMs?: number;
  readonly tcp: DnsCarrier;
}): SharedSocketCarrier {
  const { socket, timeoutMs = 2000, tcp } = options;
  const waiting = new Map<number, Waiting>();

  const receive = (reply: Buffer, from: RemoteInfo): void => {
    const entry = waiting.get(decodeHeader(reply)?.id ?? -1);
    // Only the server that was asked may answer, and only this question (RFC 5452 section 9.1).
    if (entry?.server.address !== from.address || entry.server.port !== from.port) return;
    if (isResponseTo(entry.query, reply)) entry.settle(reply);
  };
  socket.on("message", receive);

  const ask = (server: DnsEndpoint, query: Uint8Array): Promise<Uint8Array | undefined> =>
    new Promise((resolve) => {
      const id = freeId(waiting);
      const sent = withId(query, id);
      const timer = setTimeout(() => settle(undefined), timeoutMs);
      const settle = (reply: Uint8Array | undefined): void => {
        clearTimeout(timer);
        waiting.delete(id);
        resolve(reply);
      };
      waiting.set(id, { query: sent, server, settle });
      socket.send(sent, server.port, server.address, (error) => {
        if (error !== null) settle(undefined);
      });
    });

  return {
    async carry(server, query, transport) {
      if (transport === "tcp") return tcp(server, query, transport);
      const reply = await ask(server, query);
      if (reply === undefined) throw timedOut("udp", timeoutMs);
      return withId(reply, decodeHeader(query)?.id ?? 0);
    },
    close() {
      socket.off("message", receive);
      for (const entry of waiting.values()) entry.settle(undefined);
    },
  };
}

function freeId(waiting: ReadonlyMap<number, unknown>): number {
  if (waiting.size > MAX_WAITING)
    throw new InroadError("UpstreamBusy", "too many queries wait for the upstream resolver");
  let id = randomInt(0x10000);
  while (waiting.has(id)) id = (id + 1) & 0xffff;
  return id;
}

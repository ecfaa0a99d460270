/** Passes queries on to upstream resolvers through one UDP socket that lives in another namespace (the host's). */
import type { RemoteInfo, Socket } from "node:dgram";
import { randomInt } from "node:crypto";
import { InroadError } from "#lib/errors";
import { isIPv4 } from "#lib/ip";
import { decodeHeader } from "#wire/dns";

export interface DnsForwarder {
  /** The upstream's response with the query's own id. Rejects with InroadError `NoUpstream` or `UpstreamTimeout`. */
  readonly forward: (query: Uint8Array) => Promise<Uint8Array>;
  /** Rejects what waits; does not close the socket. */
  close(): void;
}

interface Waiting {
  readonly query: Uint8Array;
  readonly upstream: string;
  settle(reply: Uint8Array | undefined): void;
}

/**
 * @param options.socket a bound IPv4 UDP socket; all its messages are taken.
 * @param options.upstreams as `dns.getServers()` gives them: `192.0.2.1` or `192.0.2.1:5353`; others are left out.
 * @param options.timeoutMs how long each upstream may take, milliseconds; 2,000 if not given.
 */
export function createDnsForwarder(options: {
  readonly socket: Socket;
  readonly upstreams: readonly string[];
  readonly timeoutMs?: number;
}): DnsForwarder {
  const { socket, timeoutMs = 2000 } = options;
  const upstreams = options.upstreams.flatMap(parseUpstream);
  const waiting = new Map<number, Waiting>();
  let closed = false;

  const receive = (reply: Buffer, from: RemoteInfo): void => {
    const header = decodeHeader(reply);
    const entry = header?.response === true ? waiting.get(header.id) : undefined;
    // Only the upstream that was asked may answer, and only this question (RFC 5452 section 9.1).
    if (entry === undefined || entry.upstream !== `${from.address}:${from.port}`) return;
    if (sameQuestion(entry.query, reply)) entry.settle(reply);
  };
  socket.on("message", receive);

  const ask = (
    query: Uint8Array,
    upstream: { address: string; port: number },
  ): Promise<Uint8Array | undefined> =>
    new Promise((resolve) => {
      const id = freeId(waiting);
      const timer = setTimeout(() => settle(undefined), timeoutMs);
      const settle = (reply: Uint8Array | undefined): void => {
        clearTimeout(timer);
        waiting.delete(id);
        resolve(reply && withId(reply, query));
      };
      waiting.set(id, { query, upstream: `${upstream.address}:${upstream.port}`, settle });
      const sent = Buffer.from(query);
      sent.writeUInt16BE(id, 0);
      socket.send(sent, upstream.port, upstream.address, (error) => {
        if (error !== null) settle(undefined);
      });
    });

  return {
    async forward(query) {
      if (upstreams.length === 0) {
        throw new InroadError("NoUpstream", "no upstream resolver", { mend: "give the host a name server" });
      }
      for (const upstream of upstreams) {
        const reply = await ask(query, upstream);
        if (reply !== undefined) return reply;
        if (closed) break;
      }
      throw new InroadError("UpstreamTimeout", `no upstream resolver answered within ${timeoutMs} ms`);
    },
    close() {
      closed = true;
      socket.off("message", receive);
      for (const entry of waiting.values()) entry.settle(undefined);
    },
  };
}

function parseUpstream(text: string): { address: string; port: number }[] {
  const [address = "", port = "53"] = text.split(":");
  return isIPv4(address) && /^\d{1,5}$/.test(port) ? [{ address, port: Number(port) }] : [];
}

function freeId(waiting: ReadonlyMap<number, unknown>): number {
  if (waiting.size > 0x8000)
    throw new InroadError("UpstreamBusy", "too many queries wait for the upstream resolver");
  let id = randomInt(0x10000);
  while (waiting.has(id)) id = (id + 1) & 0xffff;
  return id;
}

/** Queries have one plain question right behind the header, so it stands in the response byte for byte (but for case). */
function sameQuestion(query: Uint8Array, reply: Uint8Array): boolean {
  const end = questionEnd(query);
  const text = (bytes: Uint8Array): string =>
    Buffer.from(bytes.subarray(12, end)).toString("latin1").toLowerCase();
  return reply.length >= end && text(query) === text(reply);
}

function questionEnd(query: Uint8Array): number {
  let at = 12;
  while (at < query.length && query[at] !== 0) at += 1 + (query[at] ?? 0);
  return at + 5;
}

function withId(reply: Uint8Array, query: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(reply);
  copy.set(query.subarray(0, 2));
  return copy;
}

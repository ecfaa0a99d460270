/** One query, as bytes, to one server and back: over sockets of its own (RFC 1035, RFC 5452, RFC 7766). */
import { randomInt } from "node:crypto";
import { InroadError } from "#lib/errors";
import { createFrameReader, decodeHeader, frame, isResponseTo, withId } from "#wire/dns";
import { parseDnsEndpoint, threadSockets, type DnsEndpoint, type DnsSockets } from "./dns-sockets.ts";

/**
 * Carries a query to a server. The response has the query's own id; only one that fits the query is taken. Rejects with
 * InroadError `UpstreamTimeout` or with the system's error.
 */
export type DnsCarrier = (
  server: DnsEndpoint,
  query: Uint8Array,
  transport: "udp" | "tcp",
) => Promise<Uint8Array>;

/**
 * A carrier that opens a socket for every query: each has a source port and an id that nobody can guess (RFC 5452
 * section 9.2).
 * @param options.timeoutMs how long a server may take, milliseconds.
 */
export function socketCarrier(options: {
  readonly sockets?: DnsSockets;
  readonly timeoutMs: number;
}): DnsCarrier {
  const { sockets = threadSockets, timeoutMs } = options;
  return async (server, query, transport) => {
    const sent = withId(query, randomInt(0x10000));
    const carry = transport === "udp" ? carryByUdp : carryByTcp;
    const reply = await carry(server, sent, { sockets, timeoutMs });
    if (reply === undefined) throw timedOut(transport, timeoutMs);
    return withId(reply, decodeHeader(query)?.id ?? 0);
  };
}

/** The same carrier, but to these servers only (as `parseDnsEndpoint` takes them): others are not asked. */
export function carrierOnlyTo(servers: readonly string[], carry: DnsCarrier): DnsCarrier {
  const textOf = ({ address, port }: DnsEndpoint): string => `${address} ${port}`;
  const allowed = new Set(servers.flatMap((text) => parseDnsEndpoint(text) ?? []).map(textOf));
  return async (server, query, transport) => {
    if (allowed.has(textOf(server))) return carry(server, query, transport);
    throw new InroadError("NotAllowed", `${textOf(server)} is none of the name servers that may be asked`);
  };
}

/** The error when nothing came back in time. */
export function timedOut(transport: "udp" | "tcp", timeoutMs: number): InroadError {
  const by = transport === "tcp" ? " by TCP" : "";
  return new InroadError("UpstreamTimeout", `no answer${by} within ${timeoutMs} ms`);
}

interface Means {
  readonly sockets: DnsSockets;
  readonly timeoutMs: number;
}

async function carryByUdp(
  server: DnsEndpoint,
  query: Uint8Array,
  { sockets, timeoutMs }: Means,
): Promise<Uint8Array | undefined> {
  const socket = await sockets.udp(server);
  try {
    return await within(timeoutMs, (done, fail) => {
      socket.on("error", fail);
      socket.on("message", (reply) => {
        if (isResponseTo(query, reply)) done(reply);
      });
      // Connected: only this server's datagrams arrive, and a closed port is told at once.
      socket.connect(server.port, server.address, (error?: Error) => {
        if (error === undefined || error === null) socket.send(query, (failed) => failed && fail(failed));
        else fail(error);
      });
    });
  } finally {
    socket.close();
  }
}

async function carryByTcp(
  server: DnsEndpoint,
  query: Uint8Array,
  { sockets, timeoutMs }: Means,
): Promise<Uint8Array | undefined> {
  const socket = sockets.tcp(server);
  try {
    return await within(timeoutMs, (done, fail) => {
      const frames = createFrameReader();
      socket.on("error", fail);
      socket.on("end", () => fail(new Error("connection closed before the answer")));
      socket.on("data", (chunk) => {
        if (typeof chunk === "string") return;
        for (const reply of frames.push(chunk)) if (isResponseTo(query, reply)) done(reply);
      });
      socket.write(frame(query));
    });
  } finally {
    socket.destroy();
  }
}

function within<T>(
  timeoutMs: number,
  start: (done: (value: T) => void, fail: (error: Error) => void) => void,
): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(undefined), timeoutMs);
    const settle = (finish: () => void): void => {
      clearTimeout(timer);
      finish();
    };
    start(
      (value) => settle(() => resolve(value)),
      (error) => settle(() => reject(error)),
    );
  });
}

/**
 * What the main thread and the Workers of one cluster say to each other, besides the Kubernetes API. Each Worker has a line
 * of its own to the main thread. A BroadcastChannel would do with less, but its first message loads an HTTP client into
 * the thread (for the class of its events).
 */
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { InroadError } from "#lib/errors";
import type { DnsCarrier, DnsEndpoint } from "#serve/dns";
import type { Certificate } from "./host-side.ts";

/** Longer than the main thread waits for a name server, milliseconds. */
const forwardTimeoutMs = 5_000;

interface Query {
  readonly id: number;
  readonly server: DnsEndpoint;
  readonly transport: "udp" | "tcp";
  readonly bytes: Uint8Array;
}

interface Answer {
  readonly id: number;
  /** Undefined: no upstream answered. */
  readonly bytes: Uint8Array | undefined;
}

/** Main thread: its ends of the lines to Workers that live; `attend` is called with each. */
function createLines(attend: (line: MessagePort) => void = () => undefined) {
  const lines = new Set<MessagePort>();
  return {
    lines,
    /** A new line; returns the Worker's end. */
    connect(): MessagePort {
      const { port1: ours, port2: theirs } = new MessageChannel();
      lines.add(ours);
      ours.once("close", () => lines.delete(ours));
      attend(ours);
      ours.unref();
      return theirs;
    },
  };
}

export interface CertificateLines {
  /** Tells all ingress replicas the certificate for hosts without a usable Secret. */
  announce(certificate: Certificate): void;
  /** The end for a new replica, which hears of all later certificates. */
  connect(): MessagePort;
}

export function createCertificateLines(): CertificateLines {
  const { lines, connect } = createLines();
  return {
    connect,
    announce(certificate) {
      for (const line of lines) line.postMessage(certificate);
    },
  };
}

/** Worker: hears of each default certificate after the one it started with. */
export function onCertificate(line: MessagePort, listener: (certificate: Certificate) => void): void {
  line.on("message", listener);
  line.unref();
}

export interface ForwardLines {
  /** Answers the queries of all DNS Workers, also those that wait already. */
  serve(carry: DnsCarrier): void;
  connect(): MessagePort;
}

export function createForwardLines(): ForwardLines {
  const { promise: served, resolve: serve } = Promise.withResolvers<DnsCarrier>();
  return {
    serve,
    connect: createLines((line) => {
      line.on("message", ({ id, server, transport, bytes }: Query) => {
        const answer = (result: Uint8Array | undefined): void =>
          line.postMessage({ id, bytes: result } satisfies Answer);
        served.then((carry) => carry(server, bytes, transport)).then(answer, () => answer(undefined));
      });
    }).connect,
  };
}

/** Worker: carries queries through the main thread. Rejects with `NoUpstream` when the host's name server does not answer. */
export function carryThrough(line: MessagePort): DnsCarrier {
  const waiting = new Map<number, PromiseWithResolvers<Uint8Array>>();
  let next = 0;
  line.on("message", ({ id, bytes }: Answer) => {
    const entry = waiting.get(id);
    waiting.delete(id);
    if (bytes !== undefined) entry?.resolve(bytes);
    else entry?.reject(new InroadError("NoUpstream", "the host's name server did not answer"));
  });
  line.unref();
  return (server, bytes, transport) => {
    const id = next++;
    const entry = Promise.withResolvers<Uint8Array>();
    waiting.set(id, entry);
    // Nobody answers when the host has lent no socket.
    const timer = setTimeout(() => {
      waiting.delete(id);
      entry.reject(new InroadError("NoUpstream", "no answer through the host"));
    }, forwardTimeoutMs);
    entry.promise.finally(() => clearTimeout(timer)).catch(() => undefined);
    line.postMessage({ id, server, transport, bytes } satisfies Query);
    return entry.promise;
  };
}

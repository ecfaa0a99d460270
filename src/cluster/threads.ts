/** What the main thread and the Workers of one cluster say to each other, besides the Kubernetes API. */
import { BroadcastChannel } from "node:worker_threads";
import { InroadError } from "#lib/errors";
import type { Certificate } from "./host-side.ts";

const certificateChannel = "inroad.ingress-certificate";
const forwardChannel = "inroad.dns-forward";
/** Longer than the forwarder of the main thread asks three resolvers. */
const forwardTimeoutMs = 8_000;

type ForwardMessage =
  | { readonly kind: "query"; readonly from: string; readonly id: number; readonly bytes: Uint8Array }
  /** Without bytes: no upstream answered. */
  | { readonly kind: "answer"; readonly to: string; readonly id: number; readonly bytes?: Uint8Array };

/** Listens on a channel without keeping the thread alive. The senders are threads of ours, so the shapes are known. */
function open(name: string, listener: (message: unknown) => void): BroadcastChannel {
  const channel = new BroadcastChannel(name);
  channel.onmessage = (event: unknown) => {
    if (typeof event === "object" && event !== null && "data" in event) listener(event.data);
  };
  channel.unref();
  return channel;
}

type CertificateMessage =
  | { readonly kind: "ask" }
  | { readonly kind: "certificate"; readonly value: Certificate };

/** Main thread: tells all ingress replicas the certificate for hosts without a usable Secret, now and whenever one asks. */
export function serveCertificate(): (certificate: Certificate) => void {
  let current: Certificate | undefined;
  const tell = (): void => {
    if (current !== undefined) channel.postMessage({ kind: "certificate", value: current });
  };
  const channel = open(certificateChannel, (data) => {
    const message = data as CertificateMessage;
    if (message.kind === "ask") tell();
  });
  return (certificate) => {
    current = certificate;
    tell();
  };
}

/** Worker: hears of each default certificate; asks for the one that came before it listened. */
export function onCertificate(listener: (certificate: Certificate) => void): void {
  const channel = open(certificateChannel, (data) => {
    const message = data as CertificateMessage;
    if (message.kind === "certificate") listener(message.value);
  });
  channel.postMessage({ kind: "ask" });
}

/** Main thread: answers the queries of DNS Workers with the host's resolver. */
export function serveForwards(forward: (query: Uint8Array) => Promise<Uint8Array>): () => void {
  const channel = open(forwardChannel, (data) => {
    const message = data as ForwardMessage;
    if (message.kind !== "query") return;
    const { from: to, id } = message;
    forward(message.bytes).then(
      (bytes) => channel.postMessage({ kind: "answer", to, id, bytes }),
      () => channel.postMessage({ kind: "answer", to, id }),
    );
  });
  return () => channel.close();
}

/** Worker: sends a query through the main thread. Rejects with `NoUpstream` when the host's resolver does not answer. */
export function forwardThroughMain(worker: string): (query: Uint8Array) => Promise<Uint8Array> {
  const waiting = new Map<number, PromiseWithResolvers<Uint8Array>>();
  let next = 0;
  const channel = open(forwardChannel, (data) => {
    const message = data as ForwardMessage;
    if (message.kind !== "answer" || message.to !== worker) return;
    const entry = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.bytes !== undefined) entry?.resolve(message.bytes);
    else entry?.reject(new InroadError("NoUpstream", "no resolver of the host answered"));
  });
  return (bytes) => {
    const id = next++;
    const entry = Promise.withResolvers<Uint8Array>();
    waiting.set(id, entry);
    // Nobody answers when the host has lent no socket.
    const timer = setTimeout(() => {
      waiting.delete(id);
      entry.reject(new InroadError("NoUpstream", "no answer through the host"));
    }, forwardTimeoutMs);
    entry.promise.finally(() => clearTimeout(timer)).catch(() => undefined);
    channel.postMessage({ kind: "query", from: worker, id, bytes });
    return entry.promise;
  };
}

/** Threads that live in a namespace of their own, started again when they crash. */
import { MessagePort, Worker } from "node:worker_threads";
import type { Transferable } from "node:worker_threads";
import { messageOf } from "#lib/errors";
import type { Assignment } from "./thread.ts";
import { isLoopback } from "./loopback.ts";
import type { NetPlace } from "./types.ts";

export type WorkerEvent =
  | { readonly kind: "message"; readonly value: unknown }
  /** It ended without being closed; it starts again after `retryMs` milliseconds, unless `restart` is false. */
  | {
      readonly kind: "crashed";
      readonly reason: string;
      readonly restarts: number;
      readonly retryMs: number | undefined;
    };

export interface SupervisedWorker {
  /** Sends a value to the running thread; false when it is between two lives and the value was lost. */
  post(value: unknown, transfer?: readonly Transferable[]): boolean;
  /** Ends the thread, for good. */
  close(): Promise<void>;
}

const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 10_000;
/** A life of this length counts as healthy: the next crash starts with the first delay again. */
const HEALTHY_MS = 10_000;

/** Threads that have loaded their script, or are about to, and wait for their assignment; by script. */
const prepared = new Map<string, Worker[]>();

/** Starts a thread from a script ahead of time: the next `startWorker` of that script takes it. From the home namespace. */
export function prepareWorker(script: URL): void {
  const worker = new Worker(script);
  const waiting = prepared.get(script.href) ?? [];
  prepared.set(script.href, [...waiting, worker]);
  // One that fails is forgotten: the thread that is started in its place fails in the same way, and is heard.
  worker.once("error", () => forget(script, worker));
  worker.unref();
}

function forget(script: URL, worker: Worker): void {
  const waiting = prepared.get(script.href) ?? [];
  prepared.set(
    script.href,
    waiting.filter((other) => other !== worker),
  );
}

/** What cannot be cloned must be named. */
function portsIn(data: unknown): MessagePort[] {
  const fields: unknown[] = typeof data === "object" && data !== null ? Object.values(data) : [];
  return fields.filter((field) => field instanceof MessagePort);
}

function takePrepared(script: URL): Worker | undefined {
  const worker = prepared.get(script.href)?.[0];
  if (worker === undefined) return undefined;
  forget(script, worker);
  worker.removeAllListeners();
  worker.ref();
  return worker;
}

/**
 * Starts a thread from a script, which calls `awaitAssignment`, and keeps it running: after a crash (an uncaught error or any exit that was not
 * asked for) it starts again with exponential back-off. Must be called while this thread is in its home namespace,
 * since a thread is born where its parent is.
 */
export function startWorker(
  script: URL,
  options: {
    readonly ns?: NetPlace;
    /** Anything that can be cloned; MessagePorts among its fields are handed over. Read again at every start. */
    readonly data: () => unknown;
    readonly onEvent: (event: WorkerEvent) => void;
    /** False leaves it to the caller to start again. Default true. */
    readonly restart?: boolean;
  },
): SupervisedWorker {
  const { ns } = options;
  let worker: Worker | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let restarts = 0;
  let delay = FIRST_RETRY_MS;

  const start = (): void => {
    const assignment: Assignment = {
      ...(ns === undefined ? {} : { ns: isLoopback(ns) ? ns : { fd: ns.fd, name: ns.name } }),
      data: options.data(),
    };
    const thread = takePrepared(script) ?? new Worker(script);
    thread.postMessage(assignment, portsIn(assignment.data));
    const born = performance.now();
    let reason: string | undefined;
    worker = thread;
    thread.on("message", (value: unknown) => options.onEvent({ kind: "message", value }));
    thread.on("error", (error) => (reason = messageOf(error)));
    thread.on("exit", (code) => {
      worker = undefined;
      if (closed) return;
      if (performance.now() - born > HEALTHY_MS) delay = FIRST_RETRY_MS;
      const retryMs = options.restart === false ? undefined : delay;
      options.onEvent({ kind: "crashed", reason: reason ?? `exit status ${code}`, restarts, retryMs });
      if (retryMs === undefined) return;
      timer = setTimeout(() => {
        restarts += 1;
        start();
      }, delay);
      delay = Math.min(delay * 2, LONGEST_RETRY_MS);
    });
  };
  start();

  return {
    post(value, transfer) {
      worker?.postMessage(value, transfer);
      return worker !== undefined;
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await worker?.terminate();
    },
  };
}

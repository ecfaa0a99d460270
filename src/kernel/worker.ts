/** Threads that live in a namespace of their own, started again when they crash. */
import { Worker } from "node:worker_threads";
import type { Transferable } from "node:worker_threads";
import { messageOf } from "#lib/errors";
import type { NetNs } from "./types.ts";

/** What the thread finds in `workerData`; it calls `enterNetNs(ns)` before anything else. */
export interface WorkerData {
  readonly ns?: { readonly fd: number; readonly name: string };
  readonly data: unknown;
}

export type WorkerEvent =
  | { readonly kind: "started"; readonly restarts: number }
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

/**
 * Starts a thread from a script and keeps it running: after a crash (an uncaught error or any exit that was not
 * asked for) it starts again with exponential back-off. Must be called while this thread is in its home namespace,
 * since a thread is born where its parent is.
 */
export function startWorker(
  script: URL,
  options: {
    readonly name: string;
    readonly ns?: NetNs;
    /** Anything that can be cloned; read again at every start. */
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
    const workerData: WorkerData = {
      ...(ns === undefined ? {} : { ns: { fd: ns.fd, name: ns.name } }),
      data: options.data(),
    };
    const thread = new Worker(script, { workerData, name: options.name });
    const born = performance.now();
    let reason: string | undefined;
    worker = thread;
    thread.on("online", () => options.onEvent({ kind: "started", restarts }));
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

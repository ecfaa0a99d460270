/** What a Worker started by `startWorker` does first. It imports little: what it needs, it loads while it waits. */
import { parentPort } from "node:worker_threads";
import { enterLoopback, enterNetNs } from "./netns.ts";
import type { LoopbackPlace } from "./types.ts";

/** The first message to such a Worker. */
export interface Assignment {
  /** The network namespace, or the loopback place, to live in. */
  readonly ns?: { readonly fd: number; readonly name: string } | LoopbackPlace;
  readonly data: unknown;
}

/** Waits for the assignment and enters its namespace for good. Returns its data; call it once, before anything else. */
export async function awaitAssignment(): Promise<unknown> {
  const { ns, data } = await new Promise<Assignment>((resolve, reject) => {
    if (parentPort === null) reject(new Error("this script runs as a Worker"));
    else parentPort.once("message", resolve);
  });
  if (ns !== undefined && "fd" in ns) enterNetNs(ns);
  else if (ns !== undefined) enterLoopback(ns);
  return data;
}

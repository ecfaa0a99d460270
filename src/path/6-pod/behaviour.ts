/** How a stand-in behaves when told to misbehave: by annotation, by control request, or for one request by header. */
import type { IncomingHttpHeaders } from "node:http";

export interface Behaviour {
  /** Milliseconds before every answer, 0 to 600000. */
  readonly delayMs: number;
  /** Status of every answer, 200 to 599. */
  readonly status: number;
  /** False: the container is not ready, whatever its probes say. */
  readonly ready: boolean;
  /** `drain` goes on serving for a moment and finishes open requests; `exit` drops everything; `ignore` waits for SIGKILL. */
  readonly onSigterm: "drain" | "exit" | "ignore";
}

export const goodBehaviour: Behaviour = { delayMs: 0, status: 200, ready: true, onSigterm: "drain" };

/** Annotation of a pod with the behaviour its stand-ins begin with, written like a query: `delayMs=200&ready=false`. */
export const behaviourAnnotation = "inroad.dev/stand-in";

const LONGEST_DELAY_MS = 600_000;

/** Changes a behaviour by a query text. What is unknown or out of range is returned as a message and changes nothing. */
export function changeBehaviour(old: Behaviour, query: string): Behaviour | { readonly problem: string } {
  let next = old;
  for (const [key, value] of new URLSearchParams(query)) {
    const change = readField(key, value);
    if (change === undefined) return { problem: `cannot set ${key}=${value}` };
    next = { ...next, ...change };
  }
  return next;
}

function readField(key: string, value: string): Partial<Behaviour> | undefined {
  switch (key) {
    case "delayMs":
      return inRange(value, 0, LONGEST_DELAY_MS) ? { delayMs: Number(value) } : undefined;
    case "status":
      return inRange(value, 200, 599) ? { status: Number(value) } : undefined;
    case "ready":
      return value === "true" || value === "false" ? { ready: value === "true" } : undefined;
    case "onSigterm":
      return value === "drain" || value === "exit" || value === "ignore" ? { onSigterm: value } : undefined;
    default:
      return undefined;
  }
}

function inRange(text: string, least: number, most: number): boolean {
  return /^\d+$/.test(text) && Number(text) >= least && Number(text) <= most;
}

/** One request's own wishes: headers `x-inroad-delay-ms` and `x-inroad-status`. */
export function behaviourFor(base: Behaviour, headers: IncomingHttpHeaders): Behaviour {
  const query = new URLSearchParams();
  const delay = headers["x-inroad-delay-ms"];
  const status = headers["x-inroad-status"];
  if (typeof delay === "string") query.set("delayMs", delay);
  if (typeof status === "string") query.set("status", status);
  const changed = changeBehaviour(base, query.toString());
  return "problem" in changed ? base : changed;
}

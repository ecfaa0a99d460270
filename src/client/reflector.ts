import type { KubeObject, Resource } from "#kube";
import { InroadError, messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import { ApiError } from "./api-error.ts";
import { backoffDelay } from "./backoff.ts";
import { type Client, readBody, type Selection } from "./client.ts";
import type { Clock } from "./clock.ts";
import { splitLines } from "./lines.ts";
import { resourcePath, withQuery } from "./resource-path.ts";
import type { Store } from "./store.ts";

export interface ReflectorOptions<T extends KubeObject> {
  readonly client: Client;
  readonly kind: Resource;
  readonly selection: Selection;
  readonly store: Store<T>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** Ends the reflector. */
  readonly signal: AbortSignal;
  /** Called once, when the store holds the whole collection. */
  readonly onSynced: () => void;
}

/** First and longest pause after failures, milliseconds; client-go's reflectors pause 800 ms to 30 s. */
const pauses = { base: 200, max: 30_000, jitter: 0.5 };

/** A watch that ends earlier than this without an event counts as a failure, milliseconds. */
const shortestWatch = 1000;

/**
 * Keeps a store equal to a collection: lists it once, then follows it by a watch that goes on from the last
 * resourceVersion, bookmarks included. When the server has forgotten that version (410), it lists again.
 * Returns when the signal ends it.
 */
export async function runReflector<T extends KubeObject>(options: ReflectorOptions<T>): Promise<void> {
  const { client, kind, selection, store, clock, log, signal } = options;
  let version: string | undefined;
  let failures = 0;
  while (!signal.aborted) {
    try {
      if (version === undefined) {
        const list = await client.list<T>(kind, selection);
        if (signal.aborted) return;
        store.replace(list.items, list.resourceVersion);
        version = list.resourceVersion;
        options.onSynced();
      }
      const since = clock.now();
      const before = version;
      await watch(options, version, (next) => {
        version = next;
        failures = 0;
      });
      if (version === before && clock.now() - since < shortestWatch) {
        throw new InroadError("ShortWatch", "the API server ended a watch at once");
      }
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      if (isExpired(error)) {
        version = undefined;
        if (failures === 1) continue;
      }
      const ms = backoffDelay(failures, { ...pauses, random: options.random });
      log.warn(`cannot watch ${kind.plural}: ${messageOf(error)}`, { again: `${ms}ms` });
      await pause(clock, ms, signal);
    }
  }
}

/** One watch request, from its start to its end. `progress` gets every resourceVersion that is left behind. */
async function watch<T extends KubeObject>(
  { client, kind, selection, store, random, signal }: ReflectorOptions<T>,
  resourceVersion: string,
  progress: (version: string) => void,
): Promise<void> {
  const path = withQuery(resourcePath(kind, selection.namespace), {
    labelSelector: selection.labelSelector,
    fieldSelector: selection.fieldSelector,
    watch: "true",
    allowWatchBookmarks: "true",
    resourceVersion,
    // Spread over time, so that not all watches of a client are renewed together.
    timeoutSeconds: String(Math.round(300 + 300 * random())),
  });
  const response = await client.raw({ method: "GET", path, headers: { accept: "application/json" }, signal });
  if (response.status >= 400) {
    const text = await readBody(response.body);
    throw new ApiError(response.status, parseLine(text), `watch ${kind.plural}`);
  }
  for await (const line of splitLines(response.body)) {
    if (signal.aborted) return;
    const event = parseLine(line) as { type?: string; object?: T } | undefined;
    if (event?.object === undefined)
      throw new InroadError("BadAnswer", "a watch event is not JSON or has no object");
    if (event.type === "ERROR") throw watchError(event.object, kind);
    if (event.type === "BOOKMARK") store.advance(event.object.metadata?.resourceVersion ?? "");
    else if (event.type === "ADDED" || event.type === "MODIFIED" || event.type === "DELETED") {
      store.apply(event.type, event.object);
    }
    progress(event.object.metadata?.resourceVersion ?? resourceVersion);
  }
}

function watchError(status: KubeObject, kind: Resource): ApiError {
  const code = status["code"];
  return new ApiError(typeof code === "number" ? code : 500, status, `watch ${kind.plural}`);
}

function isExpired(error: unknown): boolean {
  return (
    error instanceof ApiError &&
    (error.status === 410 || error.reason === "Expired" || error.reason === "Gone")
  );
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** Waits for the time to pass or the signal, whichever comes first. */
function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.setTimer(ms, done);
    signal.addEventListener("abort", done, { once: true });
  });
}

/**
 * Endpoints that do not answer, found by what happens to the connections of this node: long before anybody tells the API
 * (a node that dies is noticed there after 40 s; K#14399). A connection that waits for its first answer raises the suspicion, a
 * connection of the proxy's own confirms it; such an endpoint gets no new connections of this node until it answers again.
 * An endpoint that refuses (TCP reset) is alive: what becomes of it is for its readiness probe to say.
 */
import { messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import { endpointKey } from "#model";
import type { Endpoint } from "#model";

export type End = Pick<Endpoint, "address" | "port">;

/** A connection of a client that waits for its first answer. */
export interface Waiting {
  readonly original: {
    readonly source: string;
    readonly sourcePort: number;
    readonly destination: string;
    readonly destinationPort: number;
  };
  readonly endpoint: End;
}

export interface SilenceOptions {
  /** The connections of this node that were sent to endpoints and have no answer yet. */
  readonly waiting: () => readonly Waiting[];
  /** Whether an endpoint answers a connection, with anything, within so many milliseconds. */
  readonly answers: (endpoint: End, withinMs: number) => Promise<boolean>;
  /** Whether this is an endpoint that has others beside it: only then something can be done. */
  readonly matters: (endpoint: End) => boolean;
  /** Called when `silent()` has changed. */
  readonly onChange: () => void;
  readonly log: Log;
}

export interface Silence {
  /** Keys of the endpoints that do not answer (`endpointKey`). */
  silent(): ReadonlySet<string>;
  close(): void;
}

/** Milliseconds between two looks. */
const LOOK_MS = 100;
/** How long a connection waits before its endpoint is suspected: an answer takes well under a millisecond. */
const PATIENCE_MS = 300;
const PROBE_MS = 300;

/** Begins to look. From the first lost packet to the exclusion it takes up to LOOK + PATIENCE + PROBE, 700 ms. */
export function watchSilence(options: SilenceOptions): Silence {
  const since = new Map<string, number>();
  const silent = new Map<string, End>();
  const probing = new Set<string>();

  const probe = async (endpoint: End): Promise<void> => {
    const key = endpointKey(endpoint);
    if (probing.has(key)) return;
    probing.add(key);
    const answers = await options.answers(endpoint, PROBE_MS).catch(() => false);
    probing.delete(key);
    if (answers === !silent.has(key)) return;
    if (answers) silent.delete(key);
    else silent.set(key, endpoint);
    options.log.warn(answers ? "endpoint answers again" : "endpoint does not answer: it gets nothing new", {
      endpoint: key,
    });
    options.onChange();
  };

  const look = (): void => {
    for (const [key, endpoint] of silent) {
      if (options.matters(endpoint)) void probe(endpoint);
      else silent.delete(key);
    }
    for (const endpoint of suspects(options.waiting(), since, performance.now())) {
      if (!silent.has(endpointKey(endpoint)) && options.matters(endpoint)) void probe(endpoint);
    }
  };

  let failed = false;
  const timer = setInterval(() => {
    try {
      look();
      failed = false;
    } catch (error) {
      if (!failed) options.log.warn(`cannot see unanswered connections: ${messageOf(error)}`);
      failed = true;
    }
  }, LOOK_MS);
  timer.unref();
  return { silent: () => new Set(silent.keys()), close: () => clearInterval(timer) };
}

/**
 * The endpoints to which a connection has waited too long, once for each such connection.
 * @param since when each connection was first seen waiting; brought up to date here
 */
export function suspects(
  waiting: readonly Waiting[],
  since: Map<string, number>,
  now: number,
): readonly End[] {
  const present = new Map(waiting.map((one) => [connectionKey(one), one]));
  for (const key of since.keys()) if (!present.has(key)) since.delete(key);
  const found = new Map<string, End>();
  for (const [key, { endpoint }] of present) {
    const first = since.get(key) ?? now;
    if (now - first >= PATIENCE_MS && first !== -Infinity) found.set(endpointKey(endpoint), endpoint);
    // Judged once: a client that goes on trying must not make us ask again and again.
    since.set(key, now - first >= PATIENCE_MS ? -Infinity : first);
  }
  return [...found.values()];
}

function connectionKey({ original, endpoint }: Waiting): string {
  const { source, sourcePort, destination, destinationPort } = original;
  return `${source} ${sourcePort} ${destination} ${destinationPort} ${endpointKey(endpoint)}`;
}

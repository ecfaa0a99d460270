/**
 * Endpoints that do not answer, found long before anybody tells the API (a node that dies is noticed there after 40 s; K#14399).
 * A connection that waits for its first answer raises the suspicion, or a node that answers no pings; a connection of
 * the proxy's own confirms it. Such an endpoint gets no new connections of this node until it answers again.
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
  /** Endpoints that are suspected for another reason, and matter. */
  readonly suspected: () => readonly End[];
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
  /** To be called when there are more endpoints that are suspected: they are probed at once. */
  hurry(): void;
  close(): void;
}

/**
 * Milliseconds between two looks, which take one part in so many of the time at most: the kernel walks through all of its
 * connection table, which takes 5 to 20 ms where that has 262,144 buckets.
 */
const LOOK_MS = 50;
const LOOK_SHARE = 20;
/** At one time; others wait for the next look. */
const MOST_PROBES = 500;
/** A living kernel answers within a millisecond. */
const PROBE_MS = 80;
/** As PROBE_MS, for an endpoint that is silent: what answers as late as this is not dead, but far away. */
const LAST_PROBE_MS = 500;

/** An endpoint that has been silent. */
interface Known {
  readonly endpoint: End;
  silent: boolean;
  /** How long it took to answer in the end, milliseconds. */
  tookMs: number;
}

/**
 * Begins to look. From the first lost packet to the exclusion it takes a look and a probe, 130 ms where looks cost little;
 * from a suspicion that hurries, a probe.
 */
export function watchSilence(options: SilenceOptions): Silence {
  let judged: ReadonlySet<string> = new Set();
  const known = new Map<string, Known>();
  const probing = new Set<string>();
  const isSilent = (key: string): boolean => known.get(key)?.silent === true;

  const probe = async (endpoint: End): Promise<void> => {
    const key = endpointKey(endpoint);
    if (probing.has(key) || probing.size >= MOST_PROBES) return;
    probing.add(key);
    const began = performance.now();
    const within = isSilent(key) ? LAST_PROBE_MS : Math.max(PROBE_MS, 2 * (known.get(key)?.tookMs ?? 0));
    // What could not be asked tells nothing.
    const answers = await options.answers(endpoint, within).catch(() => !isSilent(key));
    probing.delete(key);
    if (answers !== isSilent(key)) return;
    const tookMs = answers ? performance.now() - began : 0;
    known.set(key, { endpoint, silent: !answers, tookMs });
    options.log.warn(answers ? "endpoint answers again" : "endpoint does not answer: it gets nothing new", {
      endpoint: key,
    });
    options.onChange();
  };

  const suspect = (ends: readonly End[]): void => {
    for (const end of ends) if (!isSilent(endpointKey(end))) void probe(end);
  };

  const look = (): void => {
    const waiting = options.waiting();
    suspect([...newlyWaiting(waiting, judged).filter(options.matters), ...options.suspected()]);
    judged = new Set(waiting.map(connectionKey));
    for (const [key, { endpoint, silent }] of known) {
      if (!options.matters(endpoint)) known.delete(key);
      else if (silent) void probe(endpoint);
    }
  };

  let failed = false;
  const lookAndWait = (): void => {
    const began = performance.now();
    try {
      look();
      failed = false;
    } catch (error) {
      if (!failed) options.log.warn(`cannot see unanswered connections: ${messageOf(error)}`);
      failed = true;
    }
    timer = setTimeout(lookAndWait, Math.max(LOOK_MS, LOOK_SHARE * (performance.now() - began))).unref();
  };
  let timer = setTimeout(lookAndWait, LOOK_MS).unref();
  return {
    silent: () => new Set([...known].filter(([, { silent }]) => silent).map(([key]) => key)),
    hurry: () => suspect(options.suspected()),
    close: () => clearTimeout(timer),
  };
}

/**
 * The endpoints that connections wait for, once for each connection: a client that goes on trying must not make us ask again
 * and again.
 * @param judged connections that waited before (`connectionKey`)
 */
export function newlyWaiting(waiting: readonly Waiting[], judged: ReadonlySet<string>): readonly End[] {
  const fresh = waiting.filter((one) => !judged.has(connectionKey(one)));
  return [...new Map(fresh.map(({ endpoint }) => [endpointKey(endpoint), endpoint])).values()];
}

/** A connection and where it was sent. */
export function connectionKey({ original, endpoint }: Waiting): string {
  const { source, sourcePort, destination, destinationPort } = original;
  return `${source} ${sourcePort} ${destination} ${destinationPort} ${endpointKey(endpoint)}`;
}

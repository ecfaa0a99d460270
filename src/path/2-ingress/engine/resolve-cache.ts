/** Remembers answers of the cluster DNS for their TTL, and asks each name only once at a time. */

export interface Resolution {
  /** The address to connect to. */
  readonly address: string;
  /** Seconds that the answer may be kept. */
  readonly ttl: number;
  /** The answer as evidence: the records in zone-file form. */
  readonly answer: string;
}

/** Resolves a fully qualified Service name. Rejects with code `NameNotFound` when the name does not exist. */
export type Resolve = (name: string) => Promise<Resolution>;

export interface ResolveCache {
  /** The cached answer at once, else a promise. With `current` given, an answer that is none of these addresses is stale. */
  lookup(name: string, current: readonly string[]): Resolution | Promise<Resolution>;
  forget(name: string): void;
}

/** `maxSeconds` bounds every TTL, `maxNames` the memory; `now` is in milliseconds. */
export function createResolveCache(
  resolve: Resolve,
  now: () => number,
  { maxSeconds = 5, maxNames = 10_000 } = {},
): ResolveCache {
  const known = new Map<string, { resolution: Resolution; until: number }>();
  const asking = new Map<string, Promise<Resolution>>();

  const ask = async (name: string): Promise<Resolution> => {
    try {
      const resolution = await resolve(name);
      known.delete(name);
      known.set(name, { resolution, until: now() + Math.min(resolution.ttl, maxSeconds) * 1000 });
      const oldest = known.keys().next();
      if (known.size > maxNames && oldest.done !== true) known.delete(oldest.value);
      return resolution;
    } finally {
      asking.delete(name);
    }
  };

  return {
    lookup: (name, current) => {
      const entry = known.get(name);
      if (entry !== undefined && entry.until > now() && isCurrent(entry.resolution, current))
        return entry.resolution;
      const pending = asking.get(name);
      if (pending !== undefined) return pending;
      const answer = ask(name);
      asking.set(name, answer);
      return answer;
    },
    forget: (name) => {
      known.delete(name);
    },
  };
}

function isCurrent(resolution: Resolution, current: readonly string[]): boolean {
  return current.length === 0 || current.includes(resolution.address);
}

/** The proxy's own account of connections, in the words of conntrack: the evidence of a mode in which the kernel has none. */
import type { ConntrackEntry, ConntrackFilter, Tuple } from "#kernel";

/** Connections that are remembered after their end; open ones always are. */
const REMEMBERED = 4096;

export interface Records {
  /** A connection was made; the returned function tells its end. */
  add(connection: Pick<ConntrackEntry, "protocol" | "original" | "reply">): () => void;
  /** Newest first: ports are used again. */
  find(filter: ConntrackFilter): ConntrackEntry[];
}

export function createRecords(): Records {
  const open = new Set<ConntrackEntry>();
  const ended: ConntrackEntry[] = [];
  return {
    add(connection) {
      const entry: ConntrackEntry = { ...connection, state: "ESTABLISHED", mark: 0 };
      open.add(entry);
      return () => {
        if (!open.delete(entry)) return;
        ended.push({ ...entry, state: "CLOSE" });
        if (ended.length > REMEMBERED) ended.shift();
      };
    },
    find: (filter) => [...ended, ...open].filter((entry) => matches(entry, filter)).toReversed(),
  };
}

function matches({ protocol, original }: ConntrackEntry, filter: ConntrackFilter): boolean {
  const parts: readonly (keyof Tuple)[] = ["source", "sourcePort", "destination", "destinationPort"];
  return (
    protocol === filter.protocol &&
    parts.every((part) => filter[part] === undefined || filter[part] === original[part])
  );
}

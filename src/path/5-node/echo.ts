/** ICMP echo from a node to others: does a packet of a size come back? */
import { openEchoSocket, type NetNs } from "#kernel";

export interface Echo {
  /** Whether an echo request of `size` bytes, IP header included, is answered by an IPv4 address. Asks three times at most. */
  crosses(address: string, size: number): Promise<boolean>;
  close(): void;
}

const ATTEMPTS = 3;
const PATIENCE_MS = 250;

/** Opens the node's echo socket. Throws as `openEchoSocket` does. */
export function openEcho(ns: NetNs): Echo {
  const waiting = new Map<number, () => void>();
  let last = 0;
  const closing = new AbortController();
  const socket = openEchoSocket(ns, (_, sequence) => waiting.get(sequence)?.());

  const ask = (address: string, size: number): Promise<boolean> => {
    last = (last + 1) & 0xffff;
    const sequence = last;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), PATIENCE_MS);
    waiting.set(sequence, () => resolve(true));
    if (!socket.send(address, sequence, size)) resolve(false);
    return promise.finally(() => {
      clearTimeout(timer);
      waiting.delete(sequence);
    });
  };

  return {
    async crosses(address, size) {
      for (let attempt = 0; attempt < ATTEMPTS && !closing.signal.aborted; attempt += 1) {
        if (await ask(address, size)) return true;
      }
      return false;
    },
    close() {
      closing.abort();
      socket.close();
    },
  };
}

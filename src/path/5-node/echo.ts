/** ICMP echo from a node to others: does a packet of a size come back? */
import dgram from "node:dgram";
import { pingSocket, sendDatagram, setSysctls, type NetNs } from "#kernel";

export interface Echo {
  /** Whether an echo request of `size` bytes, IP header included, is answered by an IPv4 address. Asks three times at most. */
  crosses(address: string, size: number): Promise<boolean>;
  close(): void;
}

const ATTEMPTS = 3;
const PATIENCE_MS = 250;
const IP_HEADER = 20;
const ICMP_HEADER = 8;
const ECHO_REQUEST = 8;

/** Opens the node's echo socket. Throws as `pingSocket` does. */
export function openEcho(ns: NetNs): Echo {
  setSysctls(ns, { "net/ipv4/ping_group_range": "0 0" });
  const socket = dgram.createSocket("udp4");
  const waiting = new Map<number, () => void>();
  let last = 0;
  const closing = new AbortController();
  socket.on("message", (message) => {
    if (message.length >= ICMP_HEADER) waiting.get(message.readUInt16BE(6))?.();
  });
  // "Too big" is an answer of the path, and as good as none.
  socket.on("error", () => undefined);
  const fd = pingSocket(ns);
  socket.bind({ fd });

  const ask = (address: string, size: number): Promise<boolean> => {
    last = (last + 1) & 0xffff;
    const sequence = last;
    const request = Buffer.alloc(size - IP_HEADER);
    request[0] = ECHO_REQUEST;
    request.writeUInt16BE(sequence, 6);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), PATIENCE_MS);
    waiting.set(sequence, () => resolve(true));
    if (closing.signal.aborted || !sendDatagram(fd, request, address)) resolve(false);
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

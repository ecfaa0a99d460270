/** DNS by TCP through the supervisor: a connection to the host's name servers can only be made in the host's namespace. */
import { InroadError } from "#lib/errors";
import type { DnsCarrier } from "#serve/dns";
import type { FromCluster } from "./messages.ts";

/** Longer than the supervisor waits for a name server, milliseconds. */
const patienceMs = 4_000;

export interface HostDns {
  readonly carry: DnsCarrier;
  /** The supervisor's answer to a query that it was sent. */
  answered(id: number, reply: string | undefined): void;
}

export function createHostDns(tell: (message: FromCluster) => void): HostDns {
  const waiting = new Map<number, (reply: string | undefined) => void>();
  let next = 0;
  return {
    async carry({ address, port }, query) {
      const id = next++;
      const reply = await new Promise<string | undefined>((resolve) => {
        const timer = setTimeout(() => resolve(undefined), patienceMs);
        waiting.set(id, (text) => {
          clearTimeout(timer);
          resolve(text);
        });
        tell({
          type: "dns-tcp",
          id,
          server: `${address}:${port}`,
          query: Buffer.from(query).toString("base64"),
        });
      });
      waiting.delete(id);
      if (reply === undefined) throw new InroadError("NoUpstream", "no answer by TCP through the host");
      return Buffer.from(reply, "base64");
    },
    answered: (id, reply) => waiting.get(id)?.(reply),
  };
}

/** Carries DNS queries of the cluster by TCP in the host's namespace: only to the host's own name servers. */
import type { FromCluster, ToCluster } from "#cluster";
import { carrierOnlyTo, parseDnsEndpoint, socketCarrier } from "#serve/dns";

const timeoutMs = 3_000;
/** At one time; more get no answer, and their clients ask again. */
const maxUnderWay = 64;

/**
 * Answers `dns-tcp` messages with `dns-tcp-answer`.
 * @param servers the only ones that are asked, as `dns.getServers()` gives them.
 */
export function createTcpCarrier(
  servers: readonly string[],
  say: (message: ToCluster) => void,
): (message: FromCluster) => Promise<void> {
  const carry = carrierOnlyTo(servers, socketCarrier({ timeoutMs }));
  let underWay = 0;
  return async (message) => {
    if (message.type !== "dns-tcp") return;
    const { id, server, query } = message;
    const endpoint = parseDnsEndpoint(server);
    if (endpoint === undefined || underWay >= maxUnderWay) return say({ type: "dns-tcp-answer", id });
    underWay += 1;
    try {
      const reply = await carry(endpoint, Buffer.from(query, "base64"), "tcp");
      say({ type: "dns-tcp-answer", id, reply: Buffer.from(reply).toString("base64") });
    } catch {
      // That there is no answer is all that the cluster needs to know.
      say({ type: "dns-tcp-answer", id });
    } finally {
      underWay -= 1;
    }
  };
}

/** The stub resolver: a name through a search list, as glibc's res_nsearch does it (resolv.conf(5)). */
import { absoluteName, rcodeName, rcodes, type Message, type ResourceRecord } from "#wire/dns";
import { askServer, type DnsExchange } from "./dns-exchange.ts";
import { threadSockets, type DnsEndpoint, type DnsSockets } from "./dns-sockets.ts";

export interface ResolverConfig {
  /** Asked in this order; the next one when one fails. */
  readonly nameservers: readonly DnsEndpoint[];
  /** Domains to append, without dots at their ends. */
  readonly search: readonly string[];
  /** A name with at least so many dots is first tried as it is. Kubernetes gives pods 5. */
  readonly ndots: number;
  /** For each server and transport, milliseconds; 5,000 if not given. */
  readonly timeoutMs?: number;
  /** Rounds over all servers; 2 if not given. */
  readonly attempts?: number;
  /** Where sockets come from; this thread's namespace if not given. */
  readonly sockets?: DnsSockets;
}

interface TriedName {
  readonly name: string;
  readonly outcome: "answered" | "nodata" | "nxdomain" | "failed";
  /** The server whose answer counted, `10.96.0.10:53`. */
  readonly server?: string;
  readonly transport?: "udp" | "tcp";
  /** Why it failed. */
  readonly reason?: string;
}

export interface Resolution {
  /** `failed`: no server could answer; trying again later may help (EAI_AGAIN). */
  readonly outcome: "answered" | "nodata" | "nxdomain" | "failed";
  /** The absolute name of the search list that answered. */
  readonly name?: string;
  /** The whole answer section: the records asked for, and the CNAMEs that led to them. */
  readonly records: readonly ResourceRecord[];
  /** Every name asked for, in order. */
  readonly tried: readonly TriedName[];
}

/**
 * The absolute names that a name stands for, in the order in which glibc tries them: the name itself first if it has
 * at least `ndots` dots, the search list, and the name itself last otherwise. A dot at the end switches the list off.
 */
export function searchNames(config: Pick<ResolverConfig, "search" | "ndots">, name: string): string[] {
  if (name.endsWith(".")) return [name];
  const itself = `${name}.`;
  const listed = config.search.map((domain) => absoluteName(`${name}.${domain}`));
  const dots = name.split(".").length - 1;
  return dots >= config.ndots ? [itself, ...listed] : [...listed, itself];
}

/**
 * Resolves a name. NXDOMAIN, NODATA and SERVFAIL lead to the next name of the search list; a name that no server
 * answered at all ends the search. Never rejects.
 */
export async function resolveName(config: ResolverConfig, name: string, type: string): Promise<Resolution> {
  const tried: TriedName[] = [];
  for (const candidate of searchNames(config, name)) {
    const { attempt, message } = await tryName(config, candidate, type);
    tried.push(attempt);
    if (attempt.outcome === "answered" && message !== undefined) {
      const found = message.answers.some((record) => record.type === type || type === "ANY");
      return { outcome: found ? "answered" : "nodata", name: candidate, records: message.answers, tried };
    }
    if (attempt.outcome === "failed" && message === undefined) break;
  }
  return { outcome: overall(tried), records: [], tried };
}

/** What the caller learns when no name answered: a failure may hide an answer, NODATA says that the name exists. */
function overall(tried: readonly TriedName[]): Resolution["outcome"] {
  const outcomes = new Set(tried.map((attempt) => attempt.outcome));
  const last = tried.at(-1);
  const silent = last?.outcome === "failed" && last.transport === undefined;
  if (last === undefined || silent) return "failed";
  if (outcomes.has("nodata")) return "nodata";
  return outcomes.has("failed") ? "failed" : "nxdomain";
}

async function tryName(
  config: ResolverConfig,
  name: string,
  type: string,
): Promise<{ attempt: TriedName; message?: Message }> {
  const { sockets = threadSockets, timeoutMs = 5000, attempts = 2 } = config;
  let last: { attempt: TriedName; message?: Message } | undefined;
  for (let round = 0; round < attempts; round++) {
    for (const nameserver of config.nameservers) {
      const exchange = await askServer(nameserver, { name, type }, { sockets, timeoutMs });
      const server = `${nameserver.address}:${nameserver.port}`;
      last = {
        attempt: attemptOf(name, server, exchange),
        ...(exchange.ok ? { message: exchange.message } : {}),
      };
      if (last.attempt.outcome !== "failed") return last;
    }
    // A response code does not change by asking again; only silence is worth another round.
    if (last?.message !== undefined) return last;
  }
  return last ?? { attempt: { name, outcome: "failed", reason: "no name server is configured" } };
}

function attemptOf(name: string, server: string, exchange: DnsExchange): TriedName {
  if (!exchange.ok) return { name, outcome: "failed", server, reason: exchange.reason };
  const { message, transport } = exchange;
  if (message.rcode === rcodes.NXDOMAIN) return { name, outcome: "nxdomain", server, transport };
  if (message.rcode !== rcodes.NOERROR) {
    return { name, outcome: "failed", server, transport, reason: rcodeName(message.rcode) };
  }
  return { name, outcome: message.answers.length > 0 ? "answered" : "nodata", server, transport };
}

/** Several upstream resolvers as one: which is asked, which is left out until it answers again (CoreDNS' forward). */
import { InroadError, messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import { formatDnsEndpoint, queryFor, type DnsCarrier, type DnsEndpoint } from "#serve/dns";
import { isTruncated } from "#wire/dns";
import type { Forward } from "./forward.ts";

export interface UpstreamOptions {
  readonly servers: readonly DnsEndpoint[];
  readonly carry: DnsCarrier;
  /** Whom a query goes to first; `random` if not given. */
  readonly policy?: "random" | "round_robin" | "sequential";
  /** So many failed probes in a row put a server out; 2 if not given. */
  readonly maxFails?: number;
  /** From one probe of a failing server to the next, milliseconds; 500 if not given. */
  readonly probeMs?: number;
  /** No further server is tried after so long, milliseconds; 5,000 if not given. */
  readonly deadlineMs?: number;
  readonly log: Log;
  /** Hears of every exchange: how long it took, milliseconds, and its response, if there was one. */
  readonly onExchange?: (server: DnsEndpoint, milliseconds: number, reply: Uint8Array | undefined) => void;
  readonly onProbeFailure?: (server: DnsEndpoint) => void;
  /** All servers are out, so one of them is asked all the same. */
  readonly onAllDown?: () => void;
}

export interface Upstreams {
  readonly forward: Forward;
  readonly states: () => readonly { readonly server: DnsEndpoint; readonly down: boolean }[];
  /** Ends the probes. */
  close(): void;
}

interface State {
  readonly server: DnsEndpoint;
  fails: number;
  probing: boolean;
  timer: NodeJS.Timeout | undefined;
}

/** A server is probed only while it fails; any response, whatever it says, is a sign of life. */
export function createUpstreams(options: UpstreamOptions): Upstreams {
  const { servers, carry, log, maxFails = 2, probeMs = 500, deadlineMs = 5000 } = options;
  const states: State[] = servers.map((server) => ({ server, fails: 0, probing: false, timer: undefined }));
  const isDown = (state: State): boolean => state.fails >= maxFails;
  const nextOrder = ordering(options.policy ?? "random");
  let closed = false;

  const revive = (state: State): void => {
    if (isDown(state))
      log.info("upstream resolver answers again", { server: formatDnsEndpoint(state.server) });
    state.fails = 0;
    state.probing = false;
    clearTimeout(state.timer);
  };
  const probe = async (state: State): Promise<void> => {
    try {
      await carry(state.server, queryFor({ name: ".", type: "NS" }), "udp");
      revive(state);
    } catch (error) {
      state.fails += 1;
      options.onProbeFailure?.(state.server);
      if (state.fails === maxFails)
        log.warn("upstream resolver is out", {
          server: formatDnsEndpoint(state.server),
          error: messageOf(error),
        });
      if (!closed && state.probing) state.timer = setTimeout(() => void probe(state), probeMs).unref();
    }
  };
  const suspect = (state: State): void => {
    if (state.probing || closed) return;
    state.probing = true;
    void probe(state);
  };
  const exchange = async (state: State, query: Uint8Array): Promise<Uint8Array> => {
    const started = performance.now();
    let reply: Uint8Array | undefined;
    try {
      reply = await wholeAnswer(carry, state.server, query);
      revive(state);
      return reply;
    } catch (error) {
      suspect(state);
      throw error;
    } finally {
      options.onExchange?.(state.server, performance.now() - started, reply);
    }
  };

  return {
    async forward(query) {
      if (states.length === 0) throw noUpstream();
      const order = nextOrder(states);
      const up = order.filter((state) => !isDown(state));
      if (up.length === 0) options.onAllDown?.();
      const deadline = performance.now() + deadlineMs;
      let failure: unknown;
      for (const state of up.length > 0 ? up : order.slice(0, 1)) {
        if (failure !== undefined && performance.now() >= deadline) break;
        try {
          return await exchange(state, query);
        } catch (error) {
          failure = error;
        }
      }
      throw failure;
    },
    states: () => states.map((state) => ({ server: state.server, down: isDown(state) })),
    close() {
      closed = true;
      for (const state of states) clearTimeout(state.timer);
    },
  };
}

/** By UDP, and again by TCP when the answer was cut (RFC 7766 section 5): only whole answers may be kept. */
async function wholeAnswer(carry: DnsCarrier, server: DnsEndpoint, query: Uint8Array): Promise<Uint8Array> {
  const reply = await carry(server, query, "udp");
  return isTruncated(reply) ? carry(server, query, "tcp") : reply;
}

/** Gives the servers in the order in which they are tried, anew for every query. */
function ordering(policy: NonNullable<UpstreamOptions["policy"]>): (states: readonly State[]) => State[] {
  let turn = 0;
  return (states) => {
    if (policy === "sequential") return [...states];
    const first = policy === "random" ? Math.floor(Math.random() * states.length) : turn++ % states.length;
    return [...states.slice(first), ...states.slice(0, first)];
  };
}

function noUpstream(): InroadError {
  return new InroadError("NoUpstream", "no upstream resolver", { mend: "give the host a name server" });
}

/** The cluster DNS server: the zone of the latest snapshot behind UDP and TCP. */
import type { OpenDatagrams } from "#lib/datagrams";
import type { Log } from "#lib/log";
import type { SnapshotSource } from "#model";
import { startDnsServer, type Answered, type DnsEndpoint, type DnsListen, type DnsServer } from "#serve/dns";
import { createAccount } from "./account.ts";
import { startEndpoints, type EndpointOptions } from "./endpoints.ts";
import { createForwarding, type Forward, type StubDomain } from "./forward.ts";
import { createHandler, type Known } from "./handler.ts";
import { createLoopGuard } from "./loop.ts";
import { createDnsMetrics, type DnsMetrics } from "./metrics.ts";
import { defaultTtl, type ZoneOptions } from "./options.ts";
import { planZone } from "./plan.ts";
import { programmingSeconds } from "./programming.ts";
import { logQuery, type QueryLogClass } from "./query-log.ts";

export interface ClusterDnsOptions {
  readonly source: SnapshotSource & { readonly synced?: Promise<void> };
  readonly listen: { readonly udp?: DnsListen; readonly tcp?: DnsListen };
  /** Who makes the system calls on the UDP socket; node:dgram if not given. */
  readonly openDatagrams?: OpenDatagrams;
  readonly zone?: ZoneOptions;
  /** Who a client is, where its socket does not say it. */
  readonly clientOf?: (end: DnsEndpoint) => DnsEndpoint;
  /** To an upstream resolver, for names that are not the cluster's; without it they are answered with SERVFAIL. */
  readonly forward?: Forward;
  readonly stubDomains?: readonly StubDomain[];
  /** Stop forwarding when the upstream turns out to ask this server. */
  readonly loopProbe?: boolean;
  /**
   * Walk the search list for clients whose list is known: pods of the snapshot with the default resolver settings, so the
   * source must have pods.
   */
  readonly autopath?: { readonly hostSearch: readonly string[] };
  /** Queries to be logged; none if not given. */
  readonly queryLog?: QueryLogClass;
  /** Where counters are kept; share them with the upstreams. */
  readonly metrics?: DnsMetrics;
  readonly endpoints?: EndpointOptions;
  /** How long `close` still answers after `/ready` says no, milliseconds; 0 if not given. */
  readonly lameduckMs?: number;
  readonly log: Log;
  /** Milliseconds since 1970, for tests. */
  readonly now?: () => number;
}

export interface ClusterDns {
  /** Fulfilled when it listens and answers from a complete snapshot; rejected when it cannot listen. */
  readonly ready: Promise<void>;
  /** The ports it listens on, once it does. */
  readonly ports: Promise<
    { readonly udp: number | undefined; readonly tcp: number | undefined } & {
      readonly [K in keyof EndpointOptions]: number | undefined;
    }
  >;
  /** Says that it is not ready, answers on for the lameduck time, and ends. */
  close(): Promise<void>;
}

/** Clients that `/clients` lists. */
const LISTED_CLIENTS = 100;

/** Starts the cluster DNS. Until the source is synced every query is answered with SERVFAIL, as CoreDNS does. */
export function startDns(options: ClusterDnsOptions): ClusterDns {
  const { source, log } = options;
  const metrics = options.metrics ?? createDnsMetrics("dns://:53", source.current().domain);
  const account = createAccount();
  const state: { leaving: boolean; running: DnsServer | undefined } = { leaving: false, running: undefined };
  const follower = followZone(options, (seconds) => {
    state.running?.forget();
    for (const each of seconds) metrics.programmed(each);
  });
  const guard =
    options.loopProbe === true && options.forward !== undefined
      ? createLoopGuard({ forward: options.forward, log })
      : undefined;
  const handler = createHandler({
    known: follower.known,
    forwarding: createForwarding({
      ...options,
      forward: options.forward,
      metrics,
      now: options.now ?? (() => performance.now()),
    }),
    guard,
    autopath: options.autopath,
    ttl: options.zone?.ttl ?? defaultTtl,
    onWalk: metrics.walked,
  });
  const onAnswer = (answered: Answered): void => {
    metrics.answered(answered);
    account.count(answered.peer.address, (answered.reply[3] ?? 0) & 15);
    if (options.queryLog !== undefined) logQuery(log, options.queryLog, answered);
  };
  const { listen, clientOf, openDatagrams } = options;
  const server = startDnsServer({
    ...{ ...listen, openDatagrams, handler, log, onAnswer },
    ...(clientOf === undefined ? {} : { clientOf }),
  });
  const endpoints = startEndpoints(options.endpoints ?? {}, {
    metrics: metrics.text,
    clients: () => account.list(source.current(), LISTED_CLIENTS),
    unready: () => {
      if (state.leaving) return "Shutting down";
      return follower.known() === undefined || state.running === undefined ? "kubernetes" : undefined;
    },
  });
  const ports = Promise.all([server, endpoints]).then(([dns, http]) => {
    state.running = dns;
    return { udp: dns.udpPort, tcp: dns.tcpPort, ...http.ports };
  });
  const ready = Promise.all([ports, follower.synced]).then(() => undefined);
  // Whoever does not wait for them learns of the failure by `close`.
  for (const each of [ports, server, endpoints]) each.catch(() => undefined);
  ready.then(() => guard?.start()).catch(() => undefined);
  const end = async (): Promise<void> => {
    state.leaving = true;
    if (state.running !== undefined)
      await new Promise((resolve) => setTimeout(resolve, options.lameduckMs ?? 0));
    follower.close();
    guard?.close();
    await Promise.all([server.then((dns) => dns.close()), endpoints.then((http) => http.close())]);
  };
  let ended: Promise<void> | undefined;
  return { ready, ports, close: () => (ended ??= end()) };
}

/** Keeps the zone of the latest snapshot; there is none until the source is synced. */
function followZone(
  { source, zone, now = Date.now }: ClusterDnsOptions,
  onChange: (programmingTimes: readonly number[]) => void,
) {
  let known: Known | undefined;
  const plan = (): void => {
    const snapshot = source.current();
    const times = programmingSeconds(known?.snapshot, snapshot, now());
    known = { snapshot, zone: planZone(snapshot, Math.floor(now() / 1000), zone) };
    onChange(times);
  };
  const synced = (source.synced ?? Promise.resolve()).then(plan);
  const close = source.subscribe(() => {
    if (known !== undefined) plan();
  });
  return { synced, known: () => known, close };
}

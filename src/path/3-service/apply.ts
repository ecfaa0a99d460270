/** The cluster DNS server: the zone of the latest snapshot behind UDP and TCP. */
import type { Log } from "#lib/log";
import type { SnapshotSource } from "#model";
import { startDnsServer, type DnsHandler, type DnsListen, type DnsReply, type DnsServer } from "#serve/dns";
import { rcodes, type ResourceRecord } from "#wire/dns";
import { createForwarding, type Forward } from "./forward.ts";
import { planZone, type Zone } from "./plan.ts";

export interface ClusterDnsOptions {
  readonly source: SnapshotSource & { readonly synced?: Promise<void> };
  readonly listen: { readonly udp?: DnsListen; readonly tcp?: DnsListen };
  /** To an upstream resolver, for names that are not the cluster's; without it they are answered with SERVFAIL. */
  readonly forward?: Forward;
  readonly log: Log;
  /** Milliseconds since 1970, for tests. */
  readonly now?: () => number;
}

export interface ClusterDns {
  /** Fulfilled when it listens and answers from a complete snapshot; rejected when it cannot listen. */
  readonly ready: Promise<void>;
  /** The ports it listens on, once it does. */
  readonly ports: Promise<{ readonly udp: number | undefined; readonly tcp: number | undefined }>;
  close(): Promise<void>;
}

/** Starts the cluster DNS. Until the source is synced every query is answered with SERVFAIL, as CoreDNS does. */
export function startDns(options: ClusterDnsOptions): ClusterDns {
  const { source, log, now = Date.now } = options;
  let zone: Zone | undefined;
  const plan = (): void => {
    zone = planZone(source.current(), Math.floor(now() / 1000));
  };
  const synced = (source.synced ?? Promise.resolve()).then(plan);
  const unsubscribe = source.subscribe(() => {
    if (zone !== undefined) plan();
  });
  const handler = createHandler(() => zone, options);
  const server: Promise<DnsServer> = startDnsServer({ ...options.listen, handler, log });
  const ready = Promise.all([server, synced]).then(() => undefined);
  // Whoever does not wait for `ready` learns of the failure by `close`.
  ready.catch(() => undefined);
  return {
    ready,
    ports: server.then(({ udpPort, tcpPort }) => ({ udp: udpPort, tcp: tcpPort })),
    async close() {
      unsubscribe();
      await (await server).close();
    },
  };
}

function createHandler(zone: () => Zone | undefined, options: ClusterDnsOptions): DnsHandler {
  const { forward, log, now = Date.now } = options;
  const forwarding = createForwarding({ forward, log, now });
  return (query, peer) => {
    const answer = zone()?.answer(query.question.name, query.question.type);
    if (answer === undefined) return { rcode: rcodes.SERVFAIL };
    if (answer === "forward") return forwarding.answer(query, peer.transport);
    if (answer.completeWith === undefined) return shuffled(answer.reply);
    const { reply } = answer;
    return forwarding.complete(query, answer.completeWith, peer.transport).then((rest) => ({
      ...reply,
      answers: [...(reply.answers ?? []), ...rest],
    }));
  };
}

function isAddress({ type }: ResourceRecord): boolean {
  return type === "A" || type === "AAAA";
}

/** Addresses in random order behind the aliases, so that clients that take the first one spread (CoreDNS' `loadbalance`). */
function shuffled(reply: DnsReply): DnsReply {
  const { answers = [] } = reply;
  if (answers.length < 2) return reply;
  const addresses = answers.filter(isAddress);
  for (let i = addresses.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    const [a, b] = [addresses[i], addresses[j]];
    if (a !== undefined && b !== undefined) [addresses[i], addresses[j]] = [b, a];
  }
  return { ...reply, answers: [...answers.filter((record) => !isAddress(record)), ...addresses] };
}

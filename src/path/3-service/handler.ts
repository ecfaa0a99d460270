/** One query: answered from the zone, by an alias that is followed, by the search list, or by an upstream. */
import type { Snapshot } from "#model";
import type { DnsPeer, DnsQuery, DnsReply } from "#serve/dns";
import { rcodes, type ResourceRecord } from "#wire/dns";
import { aliasedReply, leadsNowhere, namesToCome } from "./autopath.ts";
import type { Forwarding } from "./forward.ts";
import type { LoopGuard } from "./loop.ts";
import type { Zone, ZoneAnswer } from "./plan.ts";

/** What answers depend on at one moment. */
export interface Known {
  readonly zone: Zone;
  readonly snapshot: Snapshot;
}

export interface HandlerOptions {
  /** Undefined until the cluster is known. */
  readonly known: () => Known | undefined;
  readonly forwarding: Forwarding;
  readonly guard: LoopGuard | undefined;
  /** Walk search lists for clients; the kubelet adds `hostSearch` to them. */
  readonly autopath: { readonly hostSearch: readonly string[] } | undefined;
  /** Seconds, of aliases that a walk makes. */
  readonly ttl: number;
  readonly onWalk: () => void;
}

type Reply = DnsReply | Uint8Array;

/** Until the cluster is known every answer is SERVFAIL, as CoreDNS has it. */
export function createHandler(
  options: HandlerOptions,
): (query: DnsQuery, peer: DnsPeer) => Reply | Promise<Reply> {
  const { forwarding, guard, autopath } = options;

  const finish = (query: DnsQuery, answer: ZoneAnswer | "forward", peer: DnsPeer): Reply | Promise<Reply> => {
    if (answer === "forward") {
      return guard?.looping() === true
        ? { rcode: rcodes.SERVFAIL }
        : forwarding.answer(query, peer.transport);
    }
    const { reply, completeWith } = answer;
    // With autopath the answer depends on who asks.
    if (completeWith === undefined) return shuffled(reply, autopath === undefined);
    return forwarding.resolve(query, completeWith, peer.transport).then((rest) => ({
      ...reply,
      answers: [...(reply.answers ?? []), ...rest.answers],
    }));
  };

  return (query, peer) => {
    const known = options.known();
    const { name, type } = query.question;
    if (known === undefined || guard?.isOurs(name) === true) return { rcode: rcodes.SERVFAIL };
    const answer = known.zone.answer(name, type);
    if (autopath === undefined || !leadsNowhere(answer)) return finish(query, answer, peer);
    const names = namesToCome(known.snapshot, name, peer.address, autopath.hostSearch);
    return names.length === 0 ? finish(query, answer, peer) : walk(query, names, { answer, peer, known });
  };

  /** The first answer that is no NXDOMAIN, as an alias; the first denial if there is none, and the client walks itself. */
  async function walk(
    query: DnsQuery,
    names: readonly string[],
    {
      answer,
      peer,
      known,
    }: { readonly answer: ZoneAnswer | "forward"; readonly peer: DnsPeer; readonly known: Known },
  ): Promise<Reply> {
    for (const name of names) {
      const next = known.zone.answer(name, query.question.type);
      if (leadsNowhere(next)) continue;
      const reply = await replyOf(query, name, { answer: next, peer });
      if (reply.rcode === rcodes.NXDOMAIN) continue;
      if (reply.rcode !== rcodes.NOERROR) break;
      options.onWalk();
      return aliasedReply(query.question.name, name, options.ttl, reply);
    }
    return finish(query, answer, peer);
  }

  async function replyOf(
    query: DnsQuery,
    name: string,
    { answer, peer }: { readonly answer: ZoneAnswer | "forward"; readonly peer: DnsPeer },
  ): Promise<DnsReply> {
    const reply = answer === "forward" ? undefined : await finish(query, answer, peer);
    if (reply !== undefined && !(reply instanceof Uint8Array)) return reply;
    const { rcode, answers, authorities } = await forwarding.resolve(query, name, peer.transport);
    return { rcode, answers, authorities, recursionAvailable: true };
  }
}

function isAddress({ type }: ResourceRecord): boolean {
  return type === "A" || type === "AAAA";
}

/** Addresses in random order behind the aliases, so that clients that take the first one spread (CoreDNS' `loadbalance`). */
function shuffled(reply: DnsReply, sameForAll: boolean): DnsReply {
  const { answers = [] } = reply;
  const addresses = answers.filter(isAddress);
  if (addresses.length < 2) return { ...reply, lasting: sameForAll };
  for (let i = addresses.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    const [a, b] = [addresses[i], addresses[j]];
    if (a !== undefined && b !== undefined) [addresses[i], addresses[j]] = [b, a];
  }
  return { ...reply, answers: [...answers.filter((record) => !isAddress(record)), ...addresses] };
}

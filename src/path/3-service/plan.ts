/**
 * The answers of the cluster DNS for one snapshot. Nothing is computed ahead: a query is answered by looking its
 * labels up in the snapshot's own maps, so a change of the cluster costs nothing here.
 */
import type { DnsReply } from "#serve/dns";
import { publicName, type Snapshot } from "#model";
import {
  absoluteName,
  addressOfReverseName,
  isInZone,
  labelsOf,
  rcodes,
  type ResourceRecord,
} from "#wire/dns";
import { find } from "./find.ts";
import { defaultTtl, type ZoneOptions } from "./options.ts";
import { addressRecords, nameServers, recordsOf, soa, type ZoneFacts } from "./records.ts";
import { reverseIndex } from "./reverse.ts";

/** One value, since what is kept for a choice of options is kept by it. */
const noOptions: ZoneOptions = {};
/** As many aliases as CoreDNS follows. */
const MAX_ALIASES = 10;
const reverseZones = ["in-addr.arpa.", "ip6.arpa."];

export interface ZoneAnswer {
  readonly reply: DnsReply;
  /** Why there is nothing, for people; only with NXDOMAIN. */
  readonly reason?: string;
  /** The last CNAME leads to this name, which only an upstream resolver can complete. */
  readonly completeWith?: string;
}

export interface Zone {
  /**
   * The answer to a question (absolute name in any case), or `forward` for a name that is neither of the cluster nor
   * the host of an Ingress.
   */
  answer(name: string, type: string): ZoneAnswer | "forward";
}

/**
 * The zone of a snapshot.
 * @param serial of the SOA record: the time of the last change, seconds since 1970.
 */
export function planZone(snapshot: Snapshot, serial: number, options: ZoneOptions = noOptions): Zone {
  const origin = absoluteName(snapshot.domain.toLowerCase());
  const facts: ZoneFacts = { origin, ttl: options.ttl ?? defaultTtl };
  const reverse = reverseIndex(snapshot, options);
  const negative = (rcode: number, apex: string, reason?: string): ZoneAnswer => ({
    reply: { rcode, authoritative: true, authorities: [soa(apex, facts, serial)] },
    ...(reason === undefined ? {} : { reason }),
  });

  const answer = (asked: string, type: string, depth: number): ZoneAnswer | "forward" => {
    const name = asked.toLowerCase();
    if (isInZone(name, origin)) return answerInZone(asked, name, type, depth);
    const reverseZone = reverseZones.find((zone) => isInZone(name, zone));
    if (reverseZone !== undefined) return answerReverse(asked, name, type, reverseZone);
    return answerPublic(asked, name, type, depth);
  };

  const answerInZone = (asked: string, name: string, type: string, depth: number): ZoneAnswer => {
    if (type === "AXFR" || type === "IXFR") return { reply: { rcode: rcodes.REFUSED } };
    if (name === origin && type === "SOA") return positive([soa(origin, facts, serial)]);
    const labels = labelsOf(name.slice(0, name.length - origin.length) || ".");
    const found = find(snapshot, labels, options);
    if (found.kind === "missing") return negative(rcodes.NXDOMAIN, origin, found.reason);
    if (found.kind === "alias" && (type === "A" || type === "AAAA")) {
      return followAlias({ asked, target: absoluteName(found.target), ttl: facts.ttl }, type, depth);
    }
    const { answers, additionals } =
      name === origin && type === "NS"
        ? nameServers(asked, facts, snapshot)
        : recordsOf(asked, type, found, facts);
    if (answers.length === 0) return negative(rcodes.NOERROR, origin);
    return positive(answers, additionals);
  };

  const followAlias = ({ asked, target, ttl }: Alias, type: string, depth: number): ZoneAnswer => {
    const cname: ResourceRecord = { name: asked, ttl, type: "CNAME", target };
    const next = depth < MAX_ALIASES ? answer(target, type, depth + 1) : negative(rcodes.NOERROR, origin);
    if (next === "forward") return { ...positive([cname]), completeWith: target };
    const { answers = [] } = next.reply;
    // As CoreDNS does: an alias that leads to nothing in the cluster is NODATA.
    if (answers.length === 0) return negative(rcodes.NOERROR, origin);
    return { ...next, reply: { ...next.reply, answers: [cname, ...answers] } };
  };

  const answerReverse = (asked: string, name: string, type: string, zone: string): ZoneAnswer | "forward" => {
    if (name === zone) return negative(rcodes.NOERROR, zone);
    const address = addressOfReverseName(name);
    const targets = address === undefined ? [] : reverse(address);
    if (targets.length === 0) return "forward";
    if (type !== "PTR") return negative(rcodes.NOERROR, zone);
    return positive(
      targets.map((target) => ({ name: asked, ttl: facts.ttl, type: "PTR", target: `${target}.${origin}` })),
    );
  };

  /** Hosts of Ingresses stay in the cluster: the public name leads to the load balancer, as it does outside. */
  const answerPublic = (asked: string, name: string, type: string, depth: number): ZoneAnswer | "forward" => {
    const entry = options.publicNames === "forward" ? undefined : publicName(snapshot, name);
    if (entry === undefined) return "forward";
    const ttl = entry.ttl ?? facts.ttl;
    const wantsAddress = type === "A" || type === "AAAA";
    if (entry.alias !== undefined && wantsAddress) {
      return followAlias({ asked, target: absoluteName(entry.alias), ttl }, type, depth);
    }
    const answers = wantsAddress ? addressRecords(asked, type, entry.addresses, ttl) : [];
    return answers.length > 0 ? positive(answers) : negative(rcodes.NOERROR, name);
  };

  return { answer: (name, type) => answer(name, type, 0) };
}

/** `asked` is another name for `target`. */
interface Alias {
  readonly asked: string;
  readonly target: string;
  readonly ttl: number;
}

function positive(
  answers: readonly ResourceRecord[],
  additionals: readonly ResourceRecord[] = [],
): ZoneAnswer {
  return { reply: { rcode: rcodes.NOERROR, authoritative: true, answers, additionals } };
}

/**
 * The search list walked by the server: a client's first query is answered with an alias to the first name of its list
 * that exists, instead of being sent on to the next (CoreDNS' autopath). Safe only for clients whose list is known.
 */
import type { Snapshot } from "#model";
import { searchNames, type DnsReply } from "#serve/dns";
import { absoluteName, rcodes, type ResourceRecord } from "#wire/dns";
import type { ZoneAnswer } from "./plan.ts";
import { podSearch } from "./search.ts";

/**
 * The names that the client would ask for after this one, in its order; none when `asked` is not the first name of its
 * list, or when its list is not known: it is no pod of the snapshot, or has resolver settings of its own.
 * @param client address of whoever asks.
 * @param hostSearch what the kubelet adds to every pod's list: the search list of its machine.
 */
export function namesToCome(
  snapshot: Snapshot,
  asked: string,
  client: string,
  hostSearch: readonly string[],
): readonly string[] {
  const pod = snapshot.podsByAddress.get(client);
  if (pod === undefined || pod.ownResolver === true) return [];
  const { search, ndots } = podSearch(snapshot.domain.toLowerCase(), pod.namespace);
  const config = { search: [...search, ...hostSearch], ndots };
  const first = `.${absoluteName(search[0] ?? "")}`;
  const lower = asked.toLowerCase();
  if (!lower.endsWith(first)) return [];
  const base = asked.slice(0, -first.length);
  // With so many dots the client tries the name itself first: whoever asks for this one means it.
  const names = searchNames(config, base);
  return names[0]?.toLowerCase() === lower ? names.slice(1) : [];
}

/** Whether the client would go on to the next name of its list. */
export function leadsNowhere(answer: ZoneAnswer | "forward"): boolean {
  return answer !== "forward" && answer.reply.rcode === rcodes.NXDOMAIN;
}

/** The answer to `asked`, which is found under another name. */
export function aliasedReply(asked: string, found: string, ttl: number, reply: DnsReply): DnsReply {
  const alias: ResourceRecord = { name: asked, ttl, type: "CNAME", target: found };
  return { ...reply, answers: [alias, ...(reply.answers ?? [])] };
}

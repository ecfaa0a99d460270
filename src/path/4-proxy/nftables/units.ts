/**
 * What a table holds beside its frame, as units, each of which must change in one transaction: pure.
 * `docs/decisions/0002-round-robin-rules.md` tells why the rules look as they do.
 */
import type { IpFamily } from "#model";
import { addressKey, portsOf } from "../plan.ts";
import type { EndpointList, FamilyPlan, Target, VirtualAddress } from "../plan.ts";
import { affinityMapType } from "./frame.ts";
import type { Layout } from "./layout.ts";
import { affinityMapOf, chainOf, endpointMapOf, knownChainOf, recorderOf } from "./names.ts";

/** Elements by set or map, then by key; a set's values are empty. */
export type Elements = ReadonlyMap<string, ReadonlyMap<string, string>>;

interface Chain {
  readonly name: string;
  readonly rules: readonly string[];
}

/** What changes together: a list with its chains, or an address with its entries. */
export interface Unit {
  /** Units made from the same source are the same. */
  readonly source: readonly unknown[];
  readonly chains: readonly Chain[];
  /** Maps that packets fill. */
  readonly maps: readonly { readonly name: string; readonly type: string }[];
  readonly elements: Elements;
}

export type Units = ReadonlyMap<string, Unit>;

/** All units, in an order in which any first part of them makes valid rules. */
export function unitsOf(plan: FamilyPlan, layout: Layout, previous: Units): Units {
  const units = new Map<string, Unit>();
  const put = (key: string, source: readonly unknown[], make: () => Omit<Unit, "source">): void => {
    const known = previous.get(key);
    const same = known !== undefined && sameSource(known.source, source);
    units.set(key, same ? known : { ...make(), source });
  };
  const member = (set: string, key: string): void => {
    put(`${set} ${key}`, [], () => ({
      chains: [],
      maps: [],
      elements: new Map([[set, new Map([[key, ""]])]]),
    }));
  };
  for (const network of plan.podNetworks) member("pod-networks", network);
  for (const address of plan.hairpin) member("hairpin", `${address} . ${address}`);
  for (const [key, list] of plan.lists) {
    const offset = layout.blocks.get(key)?.offset ?? 0;
    put(`list ${key}`, [list.slots, offset, list.scheduler, list.affinitySeconds], () =>
      listUnit(list, offset),
    );
  }
  for (const [key, at] of plan.addresses) {
    put(`address ${key}`, sourceOf(at, plan), () => addressUnit(at, plan));
  }
  // Last, because other ports and addresses are refused from here on.
  for (const at of plan.addresses.values()) if (at.kind === "ClusterIP") member("cluster-ips", at.address);
  for (const network of plan.serviceNetworks) member("service-networks", network);
  return units;
}

function sameSource(some: readonly unknown[], others: readonly unknown[]): boolean {
  return some.length === others.length && some.every((value, index) => value === others[index]);
}

function sourceOf(at: VirtualAddress, plan: FamilyPlan): readonly unknown[] {
  const of = (target: Target | undefined): readonly unknown[] =>
    target?.kind === "list"
      ? [target.list, plan.lists.get(target.list)?.affinitySeconds === undefined]
      : [target?.kind, undefined];
  const ranges = at.sourceRanges ?? ["everybody"];
  return [at.masquerade, ...of(at.target), ...of(at.inside), ...ranges];
}

/** The chains that give a list's endpoints their turns, the list's own first; `BLOCK` stands for an offset that is not known. */
export function chainsOf(list: EndpointList, offset: number | "BLOCK"): readonly Chain[] {
  const ip = ipOf(list.family);
  const number = `mod ${list.slots.length}`;
  const turn = list.scheduler === "sh" ? `jhash ${ip} saddr ${number} seed 0x0` : `numgen inc ${number}`;
  const rule = `${sentBy(list)} counter dnat ${ip} addr . port to ${turn} offset ${offset} map @${endpointMapOf(list.protocol)}`;
  const name = chainOf(list.key);
  if (list.affinitySeconds === undefined) return [{ name, rules: [rule] }];
  return [
    { name, rules: [`jump ${knownChainOf(list.key)}`, rule] },
    { name: knownChainOf(list.key), rules: knownRules(list) },
    { name: recorderOf(list.key), rules: recorderRules(list) },
  ];
}

function sentBy({ protocol }: EndpointList): string {
  return `meta l4proto ${protocol.toLowerCase()}`;
}

/** A client that is in no map takes a turn. */
function knownRules(list: EndpointList): readonly string[] {
  const ip = ipOf(list.family);
  return portsOf(list).map(
    (port) => `${sentBy(list)} dnat ${ip} to ${ip} saddr map @${affinityMapOf(list.key, port)} : ${port}`,
  );
}

/** `update` keeps the endpoint of a client that is known and begins its time anew. */
function recorderRules(list: EndpointList): readonly string[] {
  const ip = ipOf(list.family);
  return portsOf(list).map(
    (port) =>
      `${list.protocol.toLowerCase()} dport ${port} update @${affinityMapOf(list.key, port)} ` +
      `{ ${ip} saddr timeout ${list.affinitySeconds}s : ${ip} daddr }`,
  );
}

function ipOf(family: IpFamily): string {
  return family === "IPv4" ? "ip" : "ip6";
}

function listUnit(list: EndpointList, offset: number): Omit<Unit, "source"> {
  const slots = list.slots.map((b, slot) => [String(offset + slot), `${b.address} . ${b.port}`] as const);
  const type = affinityMapType(list.family);
  const ports = list.affinitySeconds === undefined ? [] : portsOf(list);
  return {
    chains: chainsOf(list, offset),
    maps: ports.map((port) => ({ name: affinityMapOf(list.key, port), type })),
    elements: new Map([[endpointMapOf(list.protocol), new Map(slots)]]),
  };
}

function addressUnit(at: VirtualAddress, { lists }: FamilyPlan): Omit<Unit, "source"> {
  const key = addressKey(at);
  const elements = new Map<string, ReadonlyMap<string, string>>();
  const put = (set: string, value = ""): void => void elements.set(set, new Map([[key, value]]));
  if (at.masquerade === "everybody") put("masquerade-everybody");
  if (at.masquerade === "node-only") put("masquerade-node");
  if (at.sourceRanges !== undefined) put("restricted");
  if ((at.sourceRanges ?? []).length > 0) {
    elements.set("let-in", new Map(at.sourceRanges?.map((range) => [`${key} . ${range}`, ""])));
  }
  if (at.inside?.kind === "list") put("services-inside", verdictOf(at.inside));
  put(at.target.kind === "list" ? "services" : "no-endpoints", verdictOf(at.target));
  const record = (map: string, target: Target | undefined): void => {
    if (target?.kind !== "list" || lists.get(target.list)?.affinitySeconds === undefined) return;
    put(map, `goto ${recorderOf(target.list)}`);
  };
  record("affinity", at.target);
  record("affinity-inside", at.inside);
  return { chains: [], maps: [], elements };
}

/** The verdict in force for an address. */
export function verdictOf(target: Target): string {
  if (target.kind === "list") return `goto ${chainOf(target.list)}`;
  return target.kind === "drop" ? "drop" : "goto reject-it";
}

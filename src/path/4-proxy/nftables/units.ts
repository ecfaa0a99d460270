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
  /** What it was made from: of the same source, it is the same. */
  readonly source: unknown;
  readonly chains: readonly Chain[];
  /** Maps that packets fill. */
  readonly maps: readonly { readonly name: string; readonly type: string }[];
  readonly elements: Elements;
}

/** One kind of units, by their own keys. */
export type Units = ReadonlyMap<string, Unit>;

/**
 * All units, kind by kind, in an order in which any first part of them makes valid rules. Lists and addresses that a plan
 * shares with the last one (they are the same objects) keep their units: a walk, and no more, over what does not change.
 */
export function unitsOf(plan: FamilyPlan, layout: Layout, previous: readonly Units[]): readonly Units[] {
  const kinds: Units[] = [];
  const kind = <T>(
    items: Iterable<readonly [string, T]>,
    count: number,
    make: (item: T, key: string) => UnitContent,
  ): void => {
    const old = previous[kinds.length] ?? noUnits;
    kinds.push(
      old.size === count && areMadeFrom(old, items)
        ? old
        : new Map(
            Array.from(items, ([key, item]) => {
              const known = old.get(key);
              return [key, known?.source === item ? known : { ...make(item, key), source: item }] as const;
            }),
          ),
    );
  };
  /** Elements of a set, by themselves. */
  const members = (set: string, keys: ReadonlySet<string>, elementOf = (key: string) => key): void => {
    kind(allFrom(keys, set), keys.size, (_, key) => ({
      ...{ chains: [], maps: [] },
      elements: new Map([[set, new Map([[elementOf(key), ""]])]]),
    }));
  };
  members("pod-networks", new Set(plan.podNetworks));
  members("hairpin", new Set(plan.hairpin), (address) => `${address} . ${address}`);
  kind(plan.lists, plan.lists.size, (list, key) => listUnit(list, layout.blocks.get(key)?.offset ?? 0));
  kind(plan.addresses, plan.addresses.size, (at) => addressUnit(at, plan));
  // Last, because other ports and addresses are refused from here on.
  members("cluster-ips", clusterIPs(plan));
  members("service-networks", new Set(plan.serviceNetworks));
  return kinds;
}

const noUnits: Units = new Map();

function areMadeFrom(units: Units, items: Iterable<readonly [string, unknown]>): boolean {
  for (const [key, item] of items) if (units.get(key)?.source !== item) return false;
  return true;
}

/** Each key with the same source; can be walked through more than once. */
function allFrom(keys: Iterable<string>, source: string): Iterable<readonly [string, string]> {
  return {
    *[Symbol.iterator]() {
      for (const key of keys) yield [key, source];
    },
  };
}

type UnitContent = Omit<Unit, "source">;

function clusterIPs({ addresses }: FamilyPlan): ReadonlySet<string> {
  const found = new Set<string>();
  for (const { kind, address } of addresses.values()) if (kind === "ClusterIP") found.add(address);
  return found;
}

/** The chains that give a list's endpoints their turns, the list's own first; `BLOCK` stands for an offset that is not known. */
export function chainsOf(list: EndpointList, offset: number | "BLOCK"): readonly Chain[] {
  const ip = ipOf(list.family);
  const number = `mod ${list.slots.length}`;
  const turn = list.scheduler === "sh" ? `jhash ${ip} saddr ${number} seed 0x0` : `numgen inc ${number}`;
  const map = endpointMapOf(list.protocol, offset === "BLOCK" ? 0 : offset);
  const rule = `${sentBy(list)} counter dnat ${ip} addr . port to ${turn} offset ${offset} map @${map}`;
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

function listUnit(list: EndpointList, offset: number): UnitContent {
  const slots = list.slots.map((b, slot) => [String(offset + slot), `${b.address} . ${b.port}`] as const);
  const type = affinityMapType(list.family);
  const ports = list.affinitySeconds === undefined ? [] : portsOf(list);
  return {
    chains: chainsOf(list, offset),
    maps: ports.map((port) => ({ name: affinityMapOf(list.key, port), type })),
    elements: new Map([[endpointMapOf(list.protocol, offset), new Map(slots)]]),
  };
}

function addressUnit(at: VirtualAddress, { lists }: FamilyPlan): UnitContent {
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

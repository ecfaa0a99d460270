/**
 * The same plan as for nftables in chains of our own, written as iptables-save prints rules, so that what is there can
 * be compared with what must be: pure.
 */
import { addressKey } from "../plan.ts";
import type { EndpointList, FamilyPlan, Target, VirtualAddress } from "../plan.ts";
import { backendKey } from "../rotation.ts";
import type { Backend } from "../rotation.ts";
import {
  MARK,
  MARK_OUTSIDE,
  POSTROUTING,
  SERVICES,
  UNSERVED,
  affinityChain,
  clientsOf,
  externalChain,
  listChain,
  rangesChain,
  slotChain,
} from "./names.ts";

export type Table = "nat" | "filter";

/** Where our chains hang in everybody's chains: `-A CHAIN REST`. */
export const jumps: readonly { readonly table: Table; readonly chain: string; readonly rest: string }[] = [
  { table: "nat", chain: "PREROUTING", rest: `-j ${SERVICES}` },
  { table: "nat", chain: "OUTPUT", rest: `-j ${SERVICES}` },
  { table: "nat", chain: "POSTROUTING", rest: `-j ${POSTROUTING}` },
  { table: "filter", chain: "INPUT", rest: `-m conntrack --ctstate NEW -j ${UNSERVED}` },
  { table: "filter", chain: "FORWARD", rest: `-m conntrack --ctstate NEW -j ${UNSERVED}` },
  { table: "filter", chain: "OUTPUT", rest: `-m conntrack --ctstate NEW -j ${UNSERVED}` },
];

/** The content of our chains in one table. */
export interface Chains {
  /** By chain, in order. */
  readonly chains: ReadonlyMap<string, readonly string[]>;
  /** Rules of the chain that all packets come to (INROAD-SERVICES, INROAD-UNSERVED), in no order. */
  readonly dispatch: ReadonlySet<string>;
}

export type Rules = Readonly<Record<Table, Chains>>;

export const dispatchOf: Readonly<Record<Table, string>> = { nat: SERVICES, filter: UNSERVED };

const nothing: Chains = { chains: new Map(), dispatch: new Set() };
export const noRules: Rules = { nat: nothing, filter: nothing };

/** What a family's words are. */
interface Words {
  readonly bits: number;
  readonly mask: string;
  readonly unreachable: string;
  end(backend: Backend): string;
}

const words: Readonly<Record<FamilyPlan["family"], Words>> = {
  IPv4: {
    bits: 32,
    mask: "255.255.255.255",
    unreachable: "icmp-port-unreachable",
    end: ({ address, port }) => `${address}:${port}`,
  },
  IPv6: {
    bits: 128,
    mask: Array(8).fill("ffff").join(":"),
    unreachable: "icmp6-port-unreachable",
    end: ({ address, port }) => `[${address}]:${port}`,
  },
};

/** The rules that a plan asks for. */
export function rulesFor(plan: FamilyPlan): Rules {
  const nat = new Map<string, readonly string[]>([
    [MARK, ["-j MARK --set-xmark 0x4000/0x4000"]],
    [MARK_OUTSIDE, [...plan.podNetworks.map((cidr) => `-s ${cidr} -j RETURN`), `-j ${MARK}`]],
    [
      POSTROUTING,
      [
        "-m mark ! --mark 0x4000/0x4000 -j RETURN",
        "-j MARK --set-xmark 0x4000/0x0",
        "-j MASQUERADE --random-fully",
      ],
    ],
  ]);
  const filter = new Map<string, readonly string[]>();
  const services = new Set<string>();
  const unserved = new Set<string>();
  const marks = marksByList(plan);
  const local = new Set(plan.hairpin);
  for (const list of plan.lists.values()) addList(nat, list, marks.get(list.key) ?? [], local);
  for (const at of plan.addresses.values()) {
    const where = whereOf(at, words[plan.family]);
    const refused = refusalOf(at, words[plan.family], filter);
    if (refused !== undefined) unserved.add(`${where} ${refused}`);
    const entry = entryOf(at);
    if (entry === undefined) continue;
    const first = restricted(nat, at, entry);
    services.add(`${where} -m comment --comment "${at.servicePort} ${at.kind}" -g ${first}`);
    if (entry === externalChain(at.servicePort)) nat.set(entry, externalRules(plan, at));
  }
  return { nat: { chains: nat, dispatch: services }, filter: { chains: filter, dispatch: unserved } };
}

function whereOf(at: VirtualAddress, { bits }: Words): string {
  const protocol = at.protocol.toLowerCase();
  return `-d ${at.address}/${bits} -p ${protocol} -m ${protocol} --dport ${at.port}`;
}

/** What becomes of packets to an address that were not sent to an endpoint. */
function refusalOf(
  at: VirtualAddress,
  { unreachable }: Words,
  filter: Map<string, readonly string[]>,
): string | undefined {
  const verdict = (kind: Exclude<Target["kind"], "list">): string =>
    kind === "drop"
      ? "-j DROP"
      : `-j REJECT --reject-with ${at.protocol === "TCP" ? "tcp-reset" : unreachable}`;
  const { target, sourceRanges } = at;
  const served = target.kind === "list";
  if (sourceRanges === undefined) return served ? undefined : verdict(target.kind);
  if (served) return "-j DROP";
  const chain = rangesChain(addressKey(at));
  // A reset wants the protocol in the very rule.
  const sent = `-p ${at.protocol.toLowerCase()}`;
  const letIn = sourceRanges.map((range) => `-s ${range} ${sent} ${verdict(target.kind)}`);
  filter.set(chain, [...letIn, "-j DROP"]);
  return `-g ${chain}`;
}

/** The chain that lets some sources go on to `entry`; `entry` itself where all may. */
function restricted(nat: Map<string, readonly string[]>, at: VirtualAddress, entry: string): string {
  if (at.sourceRanges === undefined) return entry;
  const chain = rangesChain(addressKey(at));
  nat.set(
    chain,
    at.sourceRanges.map((range) => `-s ${range} -g ${entry}`),
  );
  return chain;
}

/** The chain that an address leads to, if it leads anywhere for anybody. */
function entryOf(at: VirtualAddress): string | undefined {
  if (at.kind !== "ClusterIP") {
    return at.target.kind === "list" || at.inside?.kind === "list"
      ? externalChain(at.servicePort)
      : undefined;
  }
  return at.target.kind === "list" ? listChain(at.target.list) : undefined;
}

function externalRules(plan: FamilyPlan, at: VirtualAddress): readonly string[] {
  const target = at.target.kind === "list" ? [`-g ${listChain(at.target.list)}`] : [];
  if (at.masquerade === "everybody") return [`-j ${MARK}`, ...target];
  const inside = at.inside?.kind === "list" ? listChain(at.inside.list) : undefined;
  if (inside === undefined) return target;
  return [
    ...plan.podNetworks.map((cidr) => `-s ${cidr} -g ${inside}`),
    `-m addrtype --src-type LOCAL -j ${MARK}`,
    `-m addrtype --src-type LOCAL -g ${inside}`,
    ...target,
  ];
}

/**
 * The chain of a list and those of its slots. Rule i of N takes the first of every N - i connections that come to it
 * (`--mode nth --packet 0`), the last takes the rest: so connection k goes to slot k mod N.
 */
function addList(
  nat: Map<string, readonly string[]>,
  list: EndpointList,
  marks: readonly string[],
  local: ReadonlySet<string>,
): void {
  const turns = list.slots.map((_, slot) => {
    const left = list.slots.length - slot;
    const turn = left === 1 ? "" : `-m statistic --mode nth --every ${left} --packet 0 `;
    return `${turn}-j ${slotChain(list.key, slot)}`;
  });
  const known = list.affinitySeconds === undefined ? [] : [`-j ${affinityChain(list.key)}`];
  nat.set(listChain(list.key), [...marks, ...known, ...turns]);
  if (list.affinitySeconds !== undefined) nat.set(affinityChain(list.key), affinityRules(list));
  const { bits, end } = words[list.family];
  const protocol = list.protocol.toLowerCase();
  list.slots.forEach((backend, slot) => {
    nat.set(slotChain(list.key, slot), [
      ...(local.has(backend.address) ? [`-s ${backend.address}/${bits} -j ${MARK}`] : []),
      `-p ${protocol} -m ${protocol} ${rememberIn(list, backend)}-j DNAT --to-destination ${end(backend)}`,
    ]);
  });
}

/** Known clients go to the slot of their endpoint; whose time is over is forgotten. */
function affinityRules(list: EndpointList): readonly string[] {
  const slots = new Map(list.slots.map((backend, slot) => [backendKey(backend), slot]));
  return [...slots].map(
    ([endpoint, slot]) =>
      `-m recent --rcheck --seconds ${list.affinitySeconds} --reap ${clientsWords(list, endpoint)} -j ${slotChain(list.key, slot)}`,
  );
}

function rememberIn(list: EndpointList, backend: Backend): string {
  return list.affinitySeconds === undefined
    ? ""
    : `-m recent --set ${clientsWords(list, backendKey(backend))} `;
}

function clientsWords({ key, family }: EndpointList, endpoint: string): string {
  return `--name ${clientsOf(key, endpoint)} --mask ${words[family].mask} --rsource`;
}

/** Rules by which the connections to ClusterIPs of a list are marked for masquerading. */
function marksByList(plan: FamilyPlan): ReadonlyMap<string, readonly string[]> {
  const byList = new Map<string, string[]>();
  const { bits } = words[plan.family];
  for (const { kind, target, address, masquerade } of plan.addresses.values()) {
    if (kind !== "ClusterIP" || target.kind !== "list") continue;
    const mark = masquerade === "everybody" ? MARK : MARK_OUTSIDE;
    byList.set(target.list, [...(byList.get(target.list) ?? []), `-d ${address}/${bits} -j ${mark}`]);
  }
  return byList;
}

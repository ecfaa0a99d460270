/** The rules that a plan puts in place for one address, as text for people to compare with the node's. */
import { familyOf } from "#lib/ip";

import { affinityChain, listChain, slotChain } from "./iptables/names.ts";
import { rulesFor } from "./iptables/rules.ts";
import { putAddress } from "./ipvs/elements.ts";
import { serverFor, serverNames, withoutInsideAffinity } from "./ipvs/servers.ts";
import { chainsOf, verdictOf } from "./nftables/units.ts";
import { addressKey, familyPlan } from "./plan.ts";
import type { ProxyMode, ProxyPlan, Target, VirtualAddress } from "./plan.ts";
import { lineOf } from "./userspace/turns.ts";

/** One line per rule: the entry of the address, the rule that takes turns, and its slots in order. */
export function predictedIn(
  mode: ProxyMode,
  plan: ProxyPlan,
  at: VirtualAddress,
  target: Target,
): readonly string[] {
  if (mode === "ipvs") return inIpvs(plan, at, target);
  if (mode === "userspace") return inProcess(plan, at, target);
  return mode === "nftables" ? inNftables(plan, at, target) : inIptables(plan, at, target);
}

function inProcess(plan: ProxyPlan, at: VirtualAddress, target: Target): readonly string[] {
  const list = target.kind === "list" ? plan.lists.get(target.list) : undefined;
  const to = list === undefined ? target.kind : list.key;
  return [`${addressKey(at)} : ${to}`, ...(list === undefined ? [] : [lineOf(list)])];
}

function inNftables(plan: ProxyPlan, at: VirtualAddress, target: Target): readonly string[] {
  const map = target.kind !== "list" ? "no-endpoints" : target === at.inside ? "services-inside" : "services";
  const list = target.kind === "list" ? plan.lists.get(target.list) : undefined;
  return [
    `${map}: ${addressKey(at)} : ${verdictOf(target)}`,
    ...(list === undefined
      ? []
      : [
          ...chainsOf(list, "BLOCK").flatMap(({ name, rules }) => rules.map((rule) => `${name}: ${rule}`)),
          ...list.slots.map(({ address, port }, slot) => `BLOCK + ${slot} : ${address} . ${port}`),
        ]),
  ];
}

function inIptables(plan: ProxyPlan, at: VirtualAddress, target: Target): readonly string[] {
  const family = familyOf(at.address);
  const one = { ...familyPlan(plan, family), addresses: new Map([[addressKey(at), at]]) };
  const rules = rulesFor(one);
  const list = target.kind === "list" ? plan.lists.get(target.list) : undefined;
  const chains =
    list === undefined
      ? []
      : [
          listChain(list.key),
          affinityChain(list.key),
          ...list.slots.map((_, slot) => slotChain(list.key, slot)),
        ];
  return [
    ...[...rules.nat.dispatch].map((rule) => `-A INROAD-SERVICES ${rule}`),
    ...[...rules.filter.dispatch].map((rule) => `-A INROAD-UNSERVED ${rule}`),
    ...chains.flatMap((chain) => (rules.nat.chains.get(chain) ?? []).map((rule) => `-A ${chain} ${rule}`)),
  ];
}

/** MARK stands for the number by which the packet finds its virtual server: it depends on what came before. */
function inIpvs(given: ProxyPlan, from: VirtualAddress, to: Target): readonly string[] {
  const plan = withoutInsideAffinity(given);
  const at = plan.addresses.get(addressKey(from)) ?? from;
  const target = to === from.inside ? at.inside : to;
  const elements: string[] = [];
  putAddress(
    (set, key, value) => elements.push(`${set}: ${key}${value === undefined ? "" : ` : ${value}`}`),
    at,
  );
  const list = target?.kind === "list" ? plan.lists.get(target.list) : undefined;
  if (list === undefined) return elements;
  const { options, weights } = serverFor(list);
  const [name] = serverNames({ addresses: new Map([[addressKey(at), at]]) }, list, "MARK");
  return [
    ...elements,
    `-A ${name} ${options}`,
    ...[...weights].map(([real, weight]) => `-a ${name} -r ${real} -m -w ${weight}`),
  ];
}

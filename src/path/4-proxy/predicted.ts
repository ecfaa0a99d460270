/** The rules that a plan puts in place for one address, as text for people to compare with the node's. */
import { listChain, slotChain } from "./iptables/names.ts";
import { rulesFor } from "./iptables/render.ts";
import { chainOf } from "./nftables/names.ts";
import { ruleOf, verdictOf } from "./nftables/render.ts";
import { addressKey } from "./plan.ts";
import type { ProxyMode, ProxyPlan, Target, VirtualAddress } from "./plan.ts";
import { backendKey } from "./rotation.ts";

/** One line per rule: the entry of the address, the rule that takes turns, and its slots in order. */
export function predictedIn(
  mode: ProxyMode,
  plan: ProxyPlan,
  at: VirtualAddress,
  target: Target,
): readonly string[] {
  if (mode === "userspace") return inProcess(plan, at, target);
  return mode === "nftables" ? inNftables(plan, at, target) : inIptables(plan, at, target);
}

function inProcess(plan: ProxyPlan, at: VirtualAddress, target: Target): readonly string[] {
  const list = target.kind === "list" ? plan.lists.get(target.list) : undefined;
  const to = list === undefined ? target.kind : list.key;
  return [
    `${addressKey(at)} : ${to}`,
    ...(list === undefined
      ? []
      : [`${list.key}: ${list.scheduler} of ${list.slots.map(backendKey).join(", ")}`]),
  ];
}

function inNftables(plan: ProxyPlan, at: VirtualAddress, target: Target): readonly string[] {
  const map = target.kind !== "list" ? "no-endpoints" : target === at.inside ? "services-inside" : "services";
  const list = target.kind === "list" ? plan.lists.get(target.list) : undefined;
  return [
    `${map}: ${addressKey(at)} : ${verdictOf(target)}`,
    ...(list === undefined
      ? []
      : [
          `${chainOf(list.key)}: ${ruleOf(list, "BLOCK")}`,
          ...list.slots.map(({ address, port }, slot) => `BLOCK + ${slot} : ${address} . ${port}`),
        ]),
  ];
}

function inIptables(plan: ProxyPlan, at: VirtualAddress, target: Target): readonly string[] {
  const one = { ...plan, addresses: new Map([[addressKey(at), at]]) };
  const rules = rulesFor(one);
  const list = target.kind === "list" ? plan.lists.get(target.list) : undefined;
  const chains =
    list === undefined
      ? []
      : [listChain(list.key), ...list.slots.map((_, slot) => slotChain(list.key, slot))];
  return [
    ...[...rules.services].map((rule) => `-A INROAD-SERVICES ${rule}`),
    ...[...rules.unserved].map((rule) => `-A INROAD-UNSERVED ${rule}`),
    ...chains.flatMap((chain) => (rules.nat.get(chain) ?? []).map((rule) => `-A ${chain} ${rule}`)),
  ];
}

/** How much of a Service's traffic comes from each zone: its part of the nodes' CPU. Pure; KEP-2433. */
import { parseQuantity } from "#kube";
import { conditionOf, labelsOf, type Node } from "./objects.ts";

/** Part of all CPU by zone, 0 to 1; at least two zones. */
export type ZoneShares = ReadonlyMap<string, number>;

const excluded = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];

export function zoneOf(node: Node | undefined): string | undefined {
  return labelsOf(node ?? {})["topology.kubernetes.io/zone"] || undefined;
}

/** What the shares depend on; empty for a node that does not count: there is none, it is not ready or takes no workload. */
export function zoneFacts(node: Node | undefined): readonly unknown[] {
  if (node === undefined) return [];
  const takesPods = !excluded.some((label) => label in labelsOf(node));
  const counts = takesPods && conditionOf(node, "Ready")?.status === "True";
  return counts ? [zoneOf(node), node.status?.allocatable?.["cpu"]] : [];
}

/** The shares; or why they cannot be told, in Kubernetes' words. */
export function zoneShares(nodes: readonly Node[]): ZoneShares | string {
  const cpu = new Map<string, number>();
  let total = 0;
  for (const node of nodes) {
    const facts = zoneFacts(node);
    if (facts.length === 0) continue;
    const [zone, allocatable] = facts;
    const amount = Number(parseQuantity(String(allocatable))?.nano ?? 0n);
    if (typeof zone !== "string" || amount <= 0) {
      return "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes";
    }
    cpu.set(zone, (cpu.get(zone) ?? 0) + amount);
    total += amount;
  }
  if (cpu.size < 2) return "Nodes only ready in one zone";
  return new Map([...cpu].map(([zone, amount]) => [zone, amount / total]));
}

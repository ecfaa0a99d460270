/**
 * UDP flows that the kernel still remembers for an endpoint that is gone: without this, a client that keeps its port
 * would be sent to the old address for as long as it sends (kube-proxy: conntrack clean-up; K#125467, K#139628).
 */
import type { ConntrackEntry } from "#kernel";
import { familyOf, isInside } from "#lib/ip";
import type { IpFamily } from "#model";
import { addressKey } from "./plan.ts";
import type { ProxyPlan, Target, VirtualAddress } from "./plan.ts";
import { backendKey } from "./rotation.ts";

export interface FlowKernel {
  /** UDP entries of one family; of all connections, or of those to one address. */
  flows(family: IpFamily, to?: Pick<VirtualAddress, "address" | "port">): Promise<readonly ConntrackEntry[]>;
  forget(flow: ConntrackEntry): Promise<void>;
}

/** More addresses than these are looked up with all flows. */
const MOST_SINGLE_READS = 4;

/**
 * Forgets the flows to addresses whose endpoints changed, except those that still lead to one of its endpoints. At a
 * start (no previous plan) all addresses are looked at, and those of Services that are gone.
 */
export async function forgetStaleFlows(
  plan: ProxyPlan,
  previous: ProxyPlan | undefined,
  kernel: FlowKernel,
): Promise<void> {
  const changed = changedAddresses(plan, previous);
  if (previous !== undefined && changed.length === 0) return;
  const backendsAt = new Map(changed.map(({ at, backends }) => [addressKey(at), backends]));
  const isStale = (flow: ConntrackEntry): boolean => {
    const backends = backendsAt.get(calledIn(flow));
    if (backends === undefined) return previous === undefined && leadsNowhere(plan, flow);
    return !backends.has(backendKey({ address: flow.reply.source, port: flow.reply.sourcePort }));
  };
  for (const flow of await flowsTo(plan, previous, changed, kernel))
    if (isStale(flow)) await kernel.forget(flow);
}

async function flowsTo(
  plan: ProxyPlan,
  previous: ProxyPlan | undefined,
  changed: readonly Changed[],
  kernel: FlowKernel,
): Promise<readonly ConntrackEntry[]> {
  const single = previous !== undefined && changed.length <= MOST_SINGLE_READS;
  const families = new Set([...plan.families, ...(previous?.families ?? [])]);
  const read = single
    ? changed.map(({ at }) => kernel.flows(familyOf(at.address), at))
    : [...families].map((family) => kernel.flows(family));
  return (await Promise.all(read)).flat();
}

function calledIn({ original }: ConntrackEntry): string {
  return addressKey({ address: original.destination, protocol: "UDP", port: original.destinationPort });
}

/** A translated flow to an address of the Services' networks that no Service has. */
function leadsNowhere(plan: ProxyPlan, flow: ConntrackEntry): boolean {
  const address = flow.original.destination;
  if (flow.reply.source === address || plan.addresses.has(calledIn(flow))) return false;
  return plan.serviceNetworks.some((network) => isInside(address, network));
}

interface Changed {
  readonly at: VirtualAddress;
  readonly backends: ReadonlySet<string>;
}

/** UDP addresses of either plan whose endpoints are not the same in both, with those they have now. */
function changedAddresses(plan: ProxyPlan, previous: ProxyPlan | undefined): readonly Changed[] {
  return udpAddresses(plan, previous).flatMap((at) => {
    const backends = backendsOf(plan, at);
    const before = previous === undefined ? undefined : backendsOf(previous, at);
    const same = before?.size === backends.size && [...before].every((key) => backends.has(key));
    return same ? [] : [{ at, backends }];
  });
}

/** Of either plan; those of both once. */
function udpAddresses(plan: ProxyPlan, previous: ProxyPlan | undefined): readonly VirtualAddress[] {
  const found: VirtualAddress[] = [];
  for (const at of plan.addresses.values()) if (at.protocol === "UDP") found.push(at);
  for (const [key, at] of previous?.addresses ?? []) {
    if (at.protocol === "UDP" && !plan.addresses.has(key)) found.push(at);
  }
  return found;
}

function backendsOf(plan: ProxyPlan, where: VirtualAddress): ReadonlySet<string> {
  const at = plan.addresses.get(addressKey(where));
  const of = (target: Target | undefined): readonly string[] =>
    target?.kind === "list" ? (plan.lists.get(target.list)?.slots ?? []).map(backendKey) : [];
  return new Set([...of(at?.target), ...of(at?.inside)]);
}

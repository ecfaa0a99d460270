/**
 * UDP flows that the kernel still remembers for an endpoint that is gone: without this, a client that keeps its port
 * would be sent to the old address for as long as it sends (kube-proxy: conntrack clean-up; K#125467).
 */
import type { ConntrackEntry } from "#kernel";
import { addressKey } from "./plan.ts";
import type { ProxyPlan, Target, VirtualAddress } from "./plan.ts";
import { backendKey } from "./rotation.ts";

export interface FlowKernel {
  /** UDP entries of connections to this address. */
  flowsTo(address: string, port: number): Promise<readonly ConntrackEntry[]>;
  forget(flow: ConntrackEntry): Promise<void>;
}

/** Forgets the flows to addresses whose endpoints changed, except those that still lead to one of its endpoints. */
export async function forgetStaleFlows(
  plan: ProxyPlan,
  previous: ProxyPlan | undefined,
  kernel: FlowKernel,
): Promise<void> {
  for (const { at, backends } of changedAddresses(plan, previous)) {
    for (const flow of await kernel.flowsTo(at.address, at.port)) {
      const { source, sourcePort } = flow.reply;
      if (!backends.has(`${source}:${sourcePort}`)) await kernel.forget(flow);
    }
  }
}

/** UDP addresses of either plan whose endpoints are not the same in both, with those they have now. */
function changedAddresses(
  plan: ProxyPlan,
  previous: ProxyPlan | undefined,
): readonly { readonly at: VirtualAddress; readonly backends: ReadonlySet<string> }[] {
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

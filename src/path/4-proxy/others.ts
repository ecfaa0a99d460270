/** What becomes of packets that no Service port is meant by, and what all explanations of this hop share: pure. */
import { familyOf, isInside } from "#lib/ip";
import type { Explanation, Flow, Outcome, Place, Snapshot, Step } from "#model";
import { refusedByIpvs } from "./ipvs/elements.ts";
import type { KnownOrder } from "./order.ts";
import { addressKey } from "./plan.ts";
import type { PlanOptions, ProxyMode, ProxyPlan } from "./plan.ts";

export interface ExplainOptions extends PlanOptions, KnownOrder {
  /** Which rules the node has; `nftables` if not said. */
  readonly mode?: ProxyMode;
}

export type ProxyPlace = Extract<Place, { at: "proxy" }>;

export interface Context {
  readonly snapshot: Snapshot;
  readonly place: ProxyPlace;
  readonly flow: Flow;
  readonly options: ExplainOptions;
  readonly plan: ProxyPlan;
  readonly address: string;
}

/** No Service has this address and port. */
export function explainOther(context: Context): Explanation {
  const { snapshot, place, flow, options, plan, address } = context;
  const here = [...plan.addresses.values()].filter((at) => at.address === address);
  const isClusterIP = here.some((at) => at.kind === "ClusterIP");
  const refused = refusedBy(options.mode ?? "nftables", plan, address, isClusterIP);
  const reason = isClusterIP
    ? `no Service port ${flow.destination.port}/${flow.protocol} at ${address}`
    : refused === undefined
      ? `${address}:${flow.destination.port} is no address of a Service`
      : `no Service has ${address}, which is in the Services' network`;
  const step = stepOf(context, {
    action: refused?.action ?? "pass",
    to: endOf(flow),
    evaluated: here.map((at) => ({
      what: `${addressKey(at)} (${at.servicePort})`,
      matched: false,
      why: at.protocol === flow.protocol ? "another port" : "another protocol",
    })),
    predicted: refused === undefined ? [] : [refused.rule],
  });
  if (refused === undefined) {
    const next = { name: address, place: { at: "node" as const, node: place.node }, flow };
    return { steps: [step], outcome: { kind: "next", alternatives: [next] }, assumptions: [] };
  }
  if (here.length === 0) {
    const mend = "see which address the Service has: kubectl get services --all-namespaces";
    const kind = refused.action === "drop" ? "dropped" : "rejected";
    return { steps: [step], outcome: { kind, reason, mend }, assumptions: [] };
  }
  const ports = [...new Set(here.map((at) => `${at.port}/${at.protocol}`))].join(", ");
  const service = snapshot.services.get((here[0]?.servicePort ?? "").split(":")[0] ?? "");
  const name = service === undefined ? "the Service" : `Service ${service.namespace}/${service.name}`;
  const outcome: Outcome = { kind: "rejected", reason, mend: `${name} has ${ports}: use one of these` };
  return { steps: [step], outcome, assumptions: [] };
}

/** nftables and IPVS mode answer for the Services' own networks; where this process serves, nobody listens at other addresses. */
function refusedBy(
  mode: ProxyMode,
  plan: ProxyPlan,
  address: string,
  isClusterIP: boolean,
): { readonly action: "reject" | "drop"; readonly rule: string } | undefined {
  if (mode === "iptables") return undefined;
  if (mode === "ipvs") return refusedByIpvs(plan, address);
  const isOurs = isClusterIP || plan.serviceNetworks.some((network) => isInside(address, network));
  if (mode === "userspace") return isOurs ? { action: "reject", rule: "nobody listens there" } : undefined;
  const ip = familyOf(address) === "IPv4" ? "ip" : "ip6";
  if (isClusterIP) return { action: "reject", rule: `unserved: ${ip} daddr @cluster-ips goto reject-it` };
  return isOurs ? { action: "drop", rule: `unserved: ${ip} daddr @service-networks drop` } : undefined;
}

export function stepOf(
  { place, flow, options }: Context,
  rest: Pick<Step, "action" | "to"> & Partial<Step>,
): Step {
  return {
    hop: "4-proxy",
    component: `proxy ${place.node} (${options.mode ?? "nftables"})`,
    from: flow.source.address,
    evaluated: [],
    rewrites: [],
    predicted: [],
    ...rest,
  };
}

export function endOf({ destination }: Flow): string {
  return `${destination.address}:${destination.port}`;
}

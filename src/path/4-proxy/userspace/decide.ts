/** What a node does with a new connection to a Service address: pure, from the plan alone. */
import { isInside } from "#lib/ip";
import type { ProxyPlan, VirtualAddress } from "../plan.ts";

export type Decision =
  | { readonly kind: "reject" | "drop" }
  | {
      readonly kind: "list";
      readonly list: string;
      /** The address that an endpoint sees: the client's own, or the node's where the plan masquerades. */
      readonly sourceTo: (endpoint: string) => string;
    };

/** @param node the node's own address */
export function decide(plan: ProxyPlan, at: VirtualAddress, client: string, node: string): Decision {
  const isNode = client === node;
  const isPod = plan.podNetworks.some((network) => isInside(client, network));
  if (at.sourceRanges?.some((range) => isInside(client, range)) === false) return { kind: "drop" };
  const target = isNode || isPod ? (at.inside ?? at.target) : at.target;
  if (target.kind !== "list") return { kind: target.kind };
  const masqueraded = at.masquerade === "everybody" || (at.masquerade === "not-pods" ? !isPod : isNode);
  // A pod that meets itself must see the node, or it would answer itself directly.
  return {
    kind: "list",
    list: target.list,
    sourceTo: (endpoint) => (masqueraded || endpoint === client ? node : client),
  };
}

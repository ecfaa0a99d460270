/** The load balancer without a kernel to route: it names the node of each new connection, and the network hands it over there. */
import { keyOf, type LoopbackNetwork, type Steering } from "#kernel";
import type { BalanceWriter } from "./apply.ts";
import { nodeChooser } from "./choose.ts";
import type { LoadBalancerPlan } from "./plan.ts";

/**
 * Puts plans in force by steering connections from outside. The order of turns goes on while the healthy nodes of an
 * address stay the same.
 */
export function steeringWriter(network: Pick<LoopbackNetwork, "steer">): BalanceWriter {
  let known = new Map<string, { readonly nodes: string; readonly steering: Steering }>();
  return {
    async write(plan: LoadBalancerPlan) {
      const next: typeof known = new Map();
      for (const port of plan.ports) {
        if (port.protocol === "SCTP") continue;
        const key = keyOf({ ...port, protocol: port.protocol });
        const nodes = port.candidates.filter(({ eligible }) => eligible).map(({ name }) => name);
        const before = known.get(key);
        const same = before?.nodes === `${port.algorithm} ${nodes.join()}`;
        next.set(
          key,
          same
            ? before
            : { nodes: `${port.algorithm} ${nodes.join()}`, steering: nodeChooser(port.algorithm, nodes) },
        );
      }
      known = next;
      network.steer(new Map([...known].map(([key, { steering }]) => [key, steering])));
    },
    // Connections are known by the records of the nodes: there are no packets to mark.
    nodeOf: () => undefined,
    close: () => undefined,
  };
}

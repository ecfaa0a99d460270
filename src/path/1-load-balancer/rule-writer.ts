/** Plans as rules and routes in the edge's kernel. */
import { getSysctl, ipBatch, nft, setSysctls, tcpConnect, tcpListener, type NetNs } from "#kernel";
import { familyOf, type IpFamily } from "#lib/ip";
import type { Log } from "#lib/log";
import { createAcceptor } from "./accept.ts";
import type { BalanceWriter } from "./apply.ts";
import type { LoadBalancerPlan } from "./plan.ts";
import {
  baseScript,
  changeScript,
  markNodes,
  noRules,
  renderRules,
  routeLines,
  type Marks,
  type Rules,
} from "./rules.ts";

/**
 * Writes plans to the kernel, only what differs from the last one.
 * @param edge the namespace that packets for the pools are routed to; its `eth0` is on the nodes' network
 * @param families that are served
 * @param pools networks of load-balancer addresses; what of them belongs to no Service is refused
 */
export function ruleWriter(
  edge: NetNs,
  families: readonly IpFamily[],
  pools: readonly string[],
  log: Log,
): BalanceWriter {
  let marks: Marks = new Map();
  /** By family. */
  let rules: ReadonlyMap<IpFamily, Rules> = new Map();
  const routes = createRoutes(edge);
  const acceptor = createAcceptor({
    listen: (address) => tcpListener(edge, address, 0),
    dial: (address, port) => tcpConnect(edge, address, port, { allowHalfOpen: true }),
    log,
  });
  const scriptOf = (family: IpFamily, have: Rules | undefined, want: Rules): string =>
    (have === undefined ? baseScript(family, pools) : "") + changeScript(have ?? noRules, want, family);

  return {
    async write(plan) {
      marks = markNodes(
        marks,
        plan.nodes.map((node) => node.name),
      );
      // Routes first: no packet may bear a mark that leads nowhere.
      for (const family of families) await routes.write(plan, marks, family);
      const accepting = acceptor.follow(plan);
      const next = new Map(
        families.map((family) => [family, renderRules(plan, marks, family, accepting)] as const),
      );
      const scripts = [...next].map(([family, want]) => scriptOf(family, rules.get(family), want));
      // If this fails, nobody knows what is there: the next time begins with empty tables.
      rules = new Map();
      if (scripts.some((script) => script !== "")) await nft(edge, scripts.join(""));
      trackLiberally(edge);
      rules = next;
    },
    nodeOf: ({ mark, original }) =>
      [...marks].find(([, known]) => known === mark)?.[0] ?? acceptor.nodeOf(original),
    close: acceptor.close,
  };
}

/** The routing tables that marks lead to, by family and node. */
function createRoutes(edge: NetNs) {
  const known = new Map<string, string>();
  return {
    async write({ nodes }: LoadBalancerPlan, marks: Marks, family: IpFamily): Promise<void> {
      for (const [name, mark] of marks) {
        const key = `${family} ${name}`;
        const address = nodes
          .find((node) => node.name === name)
          ?.addresses.find((one) => familyOf(one) === family);
        try {
          await ipBatch(edge, routeLines(mark, address, known.get(key), family));
        } catch (error) {
          // Nobody knows how far it came: whatever is there of the node goes, so that the next try can begin anew.
          for (const line of routeLines(mark, undefined, "unknown", family))
            await ipBatch(edge, [line]).catch(() => undefined);
          known.delete(key);
          throw error;
        }
        if (address === undefined) known.delete(key);
        else known.set(key, address);
      }
    },
  };
}

/** Packets out of the window must keep their node, too. The switch may only come into being with the first rule. */
function trackLiberally(edge: NetNs): void {
  const liberal = "net/netfilter/nf_conntrack_tcp_be_liberal";
  if (getSysctl(edge, liberal) === "0") setSysctls(edge, { [liberal]: "1" });
}

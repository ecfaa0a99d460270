/** To which node the load balancer really sent a connection. */
import { conntrack, type ConntrackEntry, type NetNs } from "#kernel";
import type { Flow } from "#model";
import type { LoadBalancer } from "./apply.ts";

export interface ObservedNode {
  readonly node: string | undefined;
  readonly entry: ConntrackEntry;
  readonly evidence: string;
}

/**
 * Reads the connection's own entry from the edge's connection tracking; its mark is the node.
 * Undefined when there is none (never came here, or is forgotten).
 */
export async function observe(
  edge: NetNs,
  balancer: Pick<LoadBalancer, "nodeOf">,
  flow: Flow,
): Promise<ObservedNode | undefined> {
  const { source, destination } = flow;
  const [entry] = await conntrack(edge, {
    protocol: flow.protocol === "UDP" ? "udp" : "tcp",
    source: source.address,
    ...(source.port === undefined ? {} : { sourcePort: source.port }),
    ...(destination.address === undefined ? {} : { destination: destination.address }),
    destinationPort: destination.port,
  });
  if (entry === undefined) return undefined;
  const node = balancer.nodeOf(entry);
  const { original } = entry;
  const tuple = `${original.source}:${original.sourcePort} -> ${original.destination}:${original.destinationPort}`;
  return { node, entry, evidence: `conntrack edge: ${tuple} mark=${entry.mark} (${node ?? "no node"})` };
}

/**
 * Which node announces each load-balancer address on the network that the nodes share. Pure, and without any agreement between the
 * nodes: whoever sees the same cluster comes to the same answer.
 */
import { hash } from "node:crypto";
import { inNetwork } from "#lib/ip";
import type { NodeModel, ServiceModel, Snapshot } from "#model";
import { planLoadBalancer } from "../plan.ts";
import type { Health, HealthOf, HealthTarget, VipPort } from "../plan.ts";

export interface AnnounceOptions {
  /** Name of the node that plans. */
  readonly node: string;
  /** Only addresses in these networks are announced; empty: every one. */
  readonly pools: readonly string[];
  /** Where the announcing processes of the nodes tell each other that they live. */
  readonly peerPort: number;
}

export interface Announcement {
  readonly address: string;
  /** `namespace/name` of those that have it, sorted. */
  readonly services: readonly string[];
  /** The node that answers for the address; undefined if none may. */
  readonly announcer: string | undefined;
  /** All nodes that may, sorted by name. */
  readonly eligible: readonly string[];
}

export interface AnnouncePlan {
  /** Sorted by address as text. */
  readonly announcements: readonly Announcement[];
  readonly targets: readonly HealthTarget[];
}

/** The plan; `healthOf` tells what this node's health checker knows, also of this node itself. */
export function planAnnouncements(
  snapshot: Snapshot,
  healthOf: HealthOf,
  options: AnnounceOptions,
): AnnouncePlan {
  const services = new Map(
    [...snapshot.services].map(([key, service]) => [key, ours(service, snapshot, options.pools)]),
  );
  const balanced = planLoadBalancer({ ...snapshot, services }, fitness(healthOf, options));
  const byAddress = Map.groupBy(balanced.ports, ({ address }) => address);
  const peers = [...snapshot.nodes.values()].map((node) => peerOf(node, options.peerPort));
  return {
    announcements: [...byAddress]
      .map(([address, ports]) => announcementOf(address, ports, snapshot.nodes))
      .sort((a, b) => (a.address < b.address ? -1 : 1)),
    targets: balanced.ports.length === 0 ? [] : [...balanced.targets, ...peers],
  };
}

/** The Service with those of its addresses that may be announced. An address of a node is never taken from it. */
function ours(service: ServiceModel, { nodes }: Snapshot, pools: readonly string[]): ServiceModel {
  const taken = new Set([...nodes.values()].flatMap(({ addresses }) => addresses));
  const loadBalancerIPs = service.loadBalancerIPs.filter(
    (address) =>
      !taken.has(address) && (pools.length === 0 || pools.some((pool) => inNetwork(address, pool))),
  );
  return { ...service, loadBalancerIPs };
}

function peerOf({ name, address }: NodeModel, port: number): HealthTarget {
  return { node: name, address, port };
}

/**
 * Nothing that runs on a node helps if the process does not that answers for its addresses. Other nodes that have not been
 * asked yet count as fit: who has just started must not take from them what they announce.
 */
function fitness(healthOf: HealthOf, { node, peerPort }: AnnounceOptions): HealthOf {
  const assumed = (target: HealthTarget): Health => {
    const health = healthOf(target);
    return health.state === "unknown" && target.node !== node ? { state: "healthy" } : health;
  };
  return (target) => {
    const peer = assumed({ ...target, port: peerPort });
    if (peer.state === "healthy") return assumed(target);
    return peer.state === "unknown" ? peer : { state: "gone", reason: `its announcer: ${peer.reason}` };
  };
}

function announcementOf(
  address: string,
  ports: readonly VipPort[],
  nodes: ReadonlyMap<string, NodeModel>,
): Announcement {
  const names = ports.flatMap(({ candidates }) => candidates.filter((one) => one.eligible));
  // Services that share an address may differ in the nodes that suit them: whoever suits more of their ports is better.
  const ranks = [...Map.groupBy(names, ({ name }) => name)].map(([name, { length }]) => ({
    name,
    leaving: nodes.get(name)?.leaving === true ? 1 : 0,
    missing: ports.length - length,
    order: hash("sha256", `${name}#${address}`),
  }));
  const [first] = ranks.toSorted(
    (a, b) => a.leaving - b.leaving || a.missing - b.missing || (a.order < b.order ? -1 : 1),
  );
  return {
    address,
    services: [...new Set(ports.map(({ service }) => service))].sort(),
    announcer: first?.name,
    eligible: ranks.map(({ name }) => name).sort(),
  };
}

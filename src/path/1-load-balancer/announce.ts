/**
 * When the load balancer counts as programmed for a snapshot: its rules are in force, and each node that by this snapshot
 * has endpoints of a Service with externalTrafficPolicy Local has passed its health check, which comes a moment later.
 */
import type { Snapshot } from "#model";
import { passedOver, type LoadBalancerPlan } from "./plan.ts";

/** A node that does not pass its check in this time is broken, and nobody needs to wait for it. Milliseconds. */
const PATIENCE_MS = 2000;

/** `service node` of each node that should be eligible by the snapshot, and is not by its health. */
export function awaitedNodes(snapshot: Snapshot, { ports }: LoadBalancerPlan): string[] {
  return ports
    .filter(({ policy }) => policy === "Local")
    .flatMap(({ service: key, address, candidates }) => {
      const service = snapshot.services.get(key);
      return candidates.flatMap(({ name, eligible }) => {
        const node = snapshot.nodes.get(name);
        if (eligible || service === undefined || node === undefined) return [];
        return passedOver(service, node, address) === undefined ? [`${key} ${name}`] : [];
      });
    });
}

/**
 * To be called with what is in force; announces the snapshot unless nodes are awaited, and then asks to be called again.
 * @param again after so many milliseconds at the latest
 * @param now milliseconds that only grow
 */
export function createAnnouncer(
  announce: (snapshot: Snapshot) => void,
  again: (ms: number) => void,
  now: () => number = () => performance.now(),
): (snapshot: Snapshot, plan: LoadBalancerPlan) => void {
  let since = new Map<string, number>();
  return (snapshot, plan) => {
    since = new Map(awaitedNodes(snapshot, plan).map((key) => [key, since.get(key) ?? now()]));
    const left = [...since.values()].map((began) => began + PATIENCE_MS - now()).filter((ms) => ms > 0);
    if (left.length === 0) announce(snapshot);
    else again(Math.min(...left));
  };
}

/** How long a change of endpoints took until names are answered with it: the SLI "DNS programming latency" of SIG Scalability. */
import type { ServiceModel, Snapshot } from "#model";

/** Seconds, for each headless Service whose endpoints changed from one snapshot to the next; at `now`, milliseconds since 1970. */
export function programmingSeconds(
  previous: Snapshot | undefined,
  next: Snapshot,
  now: number,
): readonly number[] {
  // What was there at the start has been waiting for the server, not for a change.
  if (previous === undefined) return [];
  return [...next.services].flatMap(([key, service]) => {
    const before = previous.services.get(key);
    const changedAt = changeOf(service);
    if (service === before || changedAt === undefined || changedAt === before?.endpointsChangedAt) return [];
    return [Math.max(0, now - changedAt) / 1000];
  });
}

/** ClusterIPs do not change with endpoints; without a selector nobody says when they changed (as CoreDNS has it). */
function changeOf(service: ServiceModel): number | undefined {
  const selects = service.headless && Object.keys(service.selector).length > 0;
  return selects ? service.endpointsChangedAt : undefined;
}

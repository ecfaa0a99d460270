/** Topology aware routing: which endpoint is meant for which zone, in proportion to CPU. Pure; KEP-2433. */
import type { Endpoint } from "./endpoints-of.ts";
import { byText } from "./objects.ts";
import type { ZoneShares } from "./zone-shares.ts";

/** By how much more than its share an endpoint may be loaded at most. */
const overload = 0.2;

/**
 * The zone that each ready endpoint is meant for; or why none can be told, in Kubernetes' words. An endpoint serves its own zone
 * unless that has more endpoints than its share of CPU asks for.
 */
export function allocateZones(
  endpoints: readonly Endpoint[],
  shares: ZoneShares | string,
): ReadonlyMap<Endpoint, string> | string {
  if (typeof shares === "string") return shares;
  const ready = endpoints.filter(({ conditions }) => conditions?.ready === true);
  const problem = safeguard(ready, shares);
  if (problem !== undefined) return problem;
  const left = targets(ready, shares);
  const zones = new Map<Endpoint, string>();
  const moving: Endpoint[] = [];
  for (const endpoint of ready) {
    const own = endpoint.zone ?? "";
    if (take(left, own)) zones.set(endpoint, own);
    else moving.push(endpoint);
  }
  for (const endpoint of moving) {
    const zone = [...left.keys()].find((one) => take(left, one));
    if (zone !== undefined) zones.set(endpoint, zone);
  }
  return zones;
}

function take(left: Map<string, number>, zone: string): boolean {
  const count = left.get(zone) ?? 0;
  if (count > 0) left.set(zone, count - 1);
  return count > 0;
}

/** Why hints would overload somebody or leave a zone without endpoints. */
function safeguard(ready: readonly Endpoint[], shares: ZoneShares): string | undefined {
  const counts = `(${ready.length} endpoints, ${shares.size} zones)`;
  if (shares.size > ready.length) return `Insufficient number of endpoints ${counts}`;
  const least = [...shares.values()].reduce((sum, share) => sum + minimum(share, ready.length), 0);
  if (least > ready.length) {
    return `Minimum allocation of required endpoints exceeds overload threshold ${counts}`;
  }
  if (ready.some(({ zone }) => !zone)) return "One or more endpoints do not have a zone specified";
  return undefined;
}

/** So many endpoints a zone must have, not to overload them. */
const minimum = (share: number, total: number): number => Math.ceil((share * total) / (1 + overload));

/** How many endpoints each zone gets: as its share asks for, at least its minimum, and all of them together. */
function targets(ready: readonly Endpoint[], shares: ZoneShares): Map<string, number> {
  const total = ready.length;
  const zones = [...shares].toSorted(([a], [b]) => byText(a, b));
  const result = new Map(zones.map(([zone, share]) => [zone, minimum(share, total)]));
  const own = new Map<string, number>();
  for (const { zone = "" } of ready) own.set(zone, (own.get(zone) ?? 0) + 1);
  const given = (zone: string): number => result.get(zone) ?? 0;
  let rest = total - [...result.values()].reduce((sum, count) => sum + count, 0);
  for (; rest > 0; rest -= 1) {
    // Where most is missing; of equals the one that has most of its own, so that fewer endpoints change zones.
    const [next] = zones.toSorted(
      ([a, shareA], [b, shareB]) =>
        shareB * total - given(b) - (shareA * total - given(a)) ||
        (own.get(b) ?? 0) - given(b) - ((own.get(a) ?? 0) - given(a)),
    );
    if (next !== undefined) result.set(next[0], given(next[0]) + 1);
  }
  return result;
}

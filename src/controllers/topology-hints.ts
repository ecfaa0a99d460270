/** Hints of endpoints: for which zones and nodes they are meant. Pure. */
import type { Endpoint } from "./endpoints-of.ts";
import { annotationsOf, type Service } from "./objects.ts";
import { allocateZones } from "./zone-allocation.ts";
import type { ZoneShares } from "./zone-shares.ts";

type Hints = NonNullable<Endpoint["hints"]>;

export interface HintPlan {
  readonly hintsOf: (endpoint: Endpoint) => Hints | undefined;
  /** With topology aware routing: that it works, or why it does not. */
  readonly auto?: { readonly works: boolean; readonly why: string };
}

/** Whether a Service asks for topology aware routing; the older annotation wins, as in Kubernetes. */
export function wantsAuto(service: Service): boolean {
  const annotations = annotationsOf(service);
  const mode =
    annotations["service.kubernetes.io/topology-aware-hints"] ??
    annotations["service.kubernetes.io/topology-mode"];
  return mode === "Auto" || mode === "auto";
}

/**
 * The hints of a Service's endpoints of one family. Annotation `service.kubernetes.io/topology-mode: Auto` shares endpoints out to
 * zones in proportion to CPU (KEP-2433); else spec.trafficDistribution means each ready endpoint for its own zone
 * (`PreferSameZone`, alias `PreferClose`), with `PreferSameNode` also for its own node (KEP-4444, KEP-3015).
 * @param shares asked only with topology aware routing
 */
export function planHints(
  service: Service,
  endpoints: readonly Endpoint[],
  shares: () => ZoneShares | string,
): HintPlan {
  if (!wantsAuto(service)) return { hintsOf: byDistribution(service.spec?.trafficDistribution) };
  const zones = allocateZones(endpoints, shares());
  if (typeof zones === "string") return { hintsOf: () => undefined, auto: { works: false, why: zones } };
  return {
    hintsOf: (endpoint) => {
      const zone = zones.get(endpoint);
      return zone === undefined ? undefined : { forZones: [{ name: zone }] };
    },
    auto: { works: true, why: "Topology Aware Hints has been enabled" },
  };
}

function byDistribution(distribution: string | undefined): HintPlan["hintsOf"] {
  const byZone = ["PreferClose", "PreferSameZone", "PreferSameNode"].includes(distribution ?? "");
  const byNode = distribution === "PreferSameNode";
  return ({ conditions, zone, nodeName }) => {
    if (conditions?.ready !== true) return undefined;
    const hints = {
      ...(byZone && zone !== undefined ? { forZones: [{ name: zone }] } : {}),
      ...(byNode && nodeName !== undefined ? { forNodes: [{ name: nodeName }] } : {}),
    };
    return Object.keys(hints).length > 0 ? hints : undefined;
  };
}

import type { Endpoint } from "./endpoints-of.ts";

/**
 * spec.trafficDistribution as hints: each ready endpoint is meant for its own zone (`PreferClose`,
 * `PreferSameZone`), with `PreferSameNode` also for its own node (KEP-4444, KEP-3015).
 */
export function withHints(endpoints: readonly Endpoint[], distribution: string | undefined): Endpoint[] {
  const byZone = ["PreferClose", "PreferSameZone", "PreferSameNode"].includes(distribution ?? "");
  const byNode = distribution === "PreferSameNode";
  return endpoints.map((endpoint) => {
    const { hints: _old, ...plain } = endpoint;
    const ready = endpoint.conditions?.ready === true;
    const hints = {
      ...(byZone && endpoint.zone !== undefined ? { forZones: [{ name: endpoint.zone }] } : {}),
      ...(byNode && endpoint.nodeName !== undefined ? { forNodes: [{ name: endpoint.nodeName }] } : {}),
    };
    return ready && Object.keys(hints).length > 0 ? { ...plain, hints } : plain;
  });
}

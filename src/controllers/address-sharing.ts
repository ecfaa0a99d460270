/** Which Services may have one load-balancer address together. Pure. */
import { sharingAnnotation } from "#model";
import type { Claim } from "./address-demand.ts";
import { namespaceOf, sameJson, type Service } from "./objects.ts";

/**
 * Why two Services cannot have one address, undefined if they can: MetalLB's rules (https://metallb.io/usage/, "IP address
 * sharing"). Selectors of different namespaces select different pods.
 */
export function sharingObstacle(a: Claim, b: Claim): string | undefined {
  if (a.sharingKey === undefined || a.sharingKey !== b.sharingKey) {
    return `both need the same annotation ${sharingAnnotation}`;
  }
  const port = commonPort(a.service, b.service);
  if (port !== undefined) return `both have the port ${port}`;
  if (isCluster(a.service) && isCluster(b.service)) return undefined;
  return selectSamePods(a.service, b.service)
    ? undefined
    : "both need externalTrafficPolicy Cluster, or the same selector in the same namespace";
}

function commonPort(a: Service, b: Service): string | undefined {
  const theirs = portsOf(b);
  return portsOf(a).find((port) => theirs.includes(port));
}

function portsOf({ spec }: Service): string[] {
  return (spec?.ports ?? []).map(({ port, protocol = "TCP" }) => `${port}/${protocol}`);
}

function isCluster({ spec }: Service): boolean {
  return spec?.externalTrafficPolicy !== "Local";
}

function selectSamePods(a: Service, b: Service): boolean {
  const [one, other] = [a.spec?.selector ?? {}, b.spec?.selector ?? {}];
  return namespaceOf(a) === namespaceOf(b) && Object.keys(one).length > 0 && sameJson(one, other);
}

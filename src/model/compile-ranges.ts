import type { KubeObject } from "#kube";
import { addressOrder, canonicalCidr } from "#lib/ip";
import { byText } from "./objects.ts";

/** ServiceCIDR is newer than the published types. */
type ServiceCidr = KubeObject & { readonly spec?: { readonly cidrs?: readonly unknown[] } };

/** The ranges of all ServiceCIDRs, each once, in the order of addresses. One on its way out counts as long as it is there. */
export function compileRanges(objects: readonly KubeObject[]): readonly string[] {
  const cidrs = objects.flatMap(({ spec }: ServiceCidr) => spec?.cidrs ?? []);
  const ranges = new Set(cidrs.flatMap((cidr) => canonicalCidr(String(cidr)) ?? []));
  const order = (cidr: string): string => addressOrder(cidr.slice(0, cidr.indexOf("/")));
  return [...ranges].sort((a, b) => byText(order(a), order(b)) || byText(a, b));
}

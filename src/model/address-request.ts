/**
 * Which load-balancer addresses a Service asks for: spec.loadBalancerIP, and MetalLB's annotations
 * (https://metallb.io/usage/) under their present prefix and the one before; where a Service has both, the present one counts.
 */
import type { KubeObject } from "#kube";
import { asService } from "./views.ts";
import type { Finding } from "./types.ts";

/** spec.loadBalancerClass of this load balancer, which also serves Services without a class. */
export const loadBalancerClass = "inroad.dev/load-balancer";

/** Whether another implementation serves Services of this class (KEP-1959). */
export function isForeignClass(className: string | undefined): boolean {
  return className !== undefined && className !== loadBalancerClass;
}

const [present, former] = ["metallb.io/", "metallb.universe.tf/"];
const pool = "address-pool";
const addresses = "loadBalancerIPs";
const sharing = "allow-shared-ip";
/** The annotation by which Services allow to share their addresses. */
export const sharingAnnotation = `${present}${sharing}`;
const followed = [pool, addresses, sharing];
/** MetalLB tells by it what it did: it asks for nothing. */
const told = "ip-allocated-from-pool";

export interface AddressRequest {
  /** Name of the pool that the addresses must be of. */
  readonly pool?: string;
  /** As they are written, with the field or annotation that each stands in. */
  readonly addresses: readonly { readonly text: string; readonly where: string }[];
  /** Services with the same key may share addresses. */
  readonly sharingKey?: string;
}

/** What the Service asks for; addresses are not checked. An empty value asks for nothing. */
export function addressRequest(object: KubeObject): AddressRequest {
  const annotations = object.metadata?.annotations ?? {};
  const keyOf = (name: string): string => (`${present}${name}` in annotations ? present : former) + name;
  const valueOf = (name: string): string => (annotations[keyOf(name)] ?? "").trim();
  const field = asService(object).spec?.loadBalancerIP ?? "";
  const list = valueOf(addresses) === "" ? [] : valueOf(addresses).split(",");
  return {
    ...(valueOf(pool) === "" ? {} : { pool: valueOf(pool) }),
    addresses: [
      ...(field === "" ? [] : [{ text: field, where: "spec.loadBalancerIP" }]),
      ...list.map((text) => ({ text: text.trim(), where: `annotation ${keyOf(addresses)}` })),
    ],
    ...(valueOf(sharing) === "" ? {} : { sharingKey: valueOf(sharing) }),
  };
}

/** Whether an annotation is one of MetalLB's that is followed here, or that asks for nothing. */
export function isFollowed(key: string): boolean {
  const prefix = [present, former].find((each) => key.startsWith(each));
  return prefix !== undefined && [...followed, told].includes(key.slice(prefix.length));
}

/** Annotations under the former prefix that another one under the present prefix overrules. */
export function overruledNotes(object: KubeObject): Omit<Finding, "object">[] {
  const annotations = object.metadata?.annotations ?? {};
  return followed.flatMap((name) => {
    const [now, then] = [`${present}${name}`, `${former}${name}`];
    const values = [annotations[now], annotations[then]];
    if (values.includes(undefined) || values[0] === values[1]) return [];
    return {
      code: "AnnotationOverruled",
      severity: "warning",
      field: `metadata.annotations[${then}]`,
      message: `annotation ${then} is not followed: ${now} says otherwise`,
      mend: `remove ${then}`,
      affectsRouting: false,
    };
  });
}

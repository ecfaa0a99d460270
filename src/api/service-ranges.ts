import type { KubeObject } from "#kube";
import { textAt } from "./fields.ts";

/** Names by which Service ranges and their addresses are kept in the store (networking.k8s.io/v1, KEP-1880). */

export const SERVICE_CIDRS = "servicecidrs.networking.k8s.io";
export const IP_ADDRESSES = "ipaddresses.networking.k8s.io";
/** The ServiceCIDR of the ranges that the server was started with. */
export const DEFAULT_SERVICE_CIDR = "kubernetes";

/** Whether an IPAddress belongs to a Service; others keep an address out of the allocation. */
export function isOfService(address: KubeObject): boolean {
  const [group, resource] = ["group", "resource"].map((field) => textAt(address, "spec", "parentRef", field));
  return group === "" && resource === "services";
}

/** `namespace/name` of the Service that an IPAddress belongs to. */
export function parentOf(address: KubeObject): string {
  const [namespace, name] = ["namespace", "name"].map((field) => textAt(address, "spec", "parentRef", field));
  return `${namespace}/${name}`;
}

/** Names of the proxy's own chains; all begin with INROAD-. At most 28 characters fit, so keys are hashed. */
import { hash } from "node:crypto";

export const SERVICES = "INROAD-SERVICES";
export const POSTROUTING = "INROAD-POSTROUTING";
export const MARK = "INROAD-MARK";
export const MARK_OUTSIDE = "INROAD-MARK-OUTSIDE";
export const UNSERVED = "INROAD-UNSERVED";

/** The endpoints of a list take turns here. */
export function listChain(list: string): string {
  return `INROAD-SVC-${digest(list)}`;
}

/** Leads to the endpoint in one slot. Its rule can be replaced without touching the counters of the list. */
export function slotChain(list: string, slot: number): string {
  return `INROAD-SEP-${digest(`${list} ${slot}`)}`;
}

/** Leads known clients of a list to the endpoint that they met. */
export function affinityChain(list: string): string {
  return `INROAD-AFF-${digest(list)}`;
}

/** The kernel's list of the clients that met an endpoint (match `recent`). */
export function clientsOf(list: string, endpoint: string): string {
  return `INROAD-${digest(`${list} ${endpoint}`)}`;
}

/** NodePort and LoadBalancer addresses of a Service port. */
export function externalChain(servicePort: string): string {
  return `INROAD-EXT-${digest(servicePort)}`;
}

/** Who may connect to an address; in the table `filter`, who is refused there. */
export function rangesChain(address: string): string {
  return `INROAD-FW-${digest(address)}`;
}

/** Base-32 in capitals, 80 bits. */
function digest(text: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bytes = hash("sha256", text, "buffer").subarray(0, 16);
  return [...bytes].map((byte) => alphabet[byte & 31]).join("");
}

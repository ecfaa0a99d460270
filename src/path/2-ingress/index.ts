/** Hop 2: the ingress. Reads host and path of each request and opens a connection to the Service behind them. */
export { startIngress } from "./apply.ts";
export type { Ingress, IngressOptions, Listen } from "./apply.ts";
export type { PemCertificate } from "./certificates.ts";
export type { EngineLimits } from "./engine/limits.ts";
export type { Resolution, Resolve } from "./engine/resolve-cache.ts";
export { explain } from "./explain.ts";
export { observe } from "./observe.ts";
export type { RequestRecord } from "./records.ts";

/** The door of hop 3: name -> ClusterIP, by the cluster DNS. */
export { startDns, type ClusterDns, type ClusterDnsOptions } from "./apply.ts";
export { explain } from "./explain.ts";
export type { Forward } from "./forward.ts";
export { createDnsMetrics } from "./metrics.ts";
export { observe, type ObservedName } from "./observe.ts";
export { planZone, type Zone, type ZoneAnswer } from "./plan.ts";
export { podSearch } from "./search.ts";
export { createUpstreams } from "./upstreams.ts";

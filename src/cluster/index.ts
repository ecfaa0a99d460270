export { addresses, nodeConfigs, serviceCIDRs } from "./config.ts";
export type { ClusterConfig, ProxyMode, Publish } from "./config.ts";
export type { ClusterStatus, FromCluster, Identity, ToCluster } from "./messages.ts";
export { egressDevice, type EgressLink } from "./egress.ts";

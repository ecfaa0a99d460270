export { addresses, nodeConfigs, serviceCIDRs } from "./config.ts";
export { defaultPools, poolNetworks, poolProblem } from "./pools.ts";
export type { ClusterConfig, Publish } from "./config.ts";
export type { ClusterStatus, FromCluster, Identity, StatusAnswer, ToCluster } from "./messages.ts";
export type { PlaceEntrance } from "./places.ts";
export { egressDevice, type EgressLink } from "./egress.ts";

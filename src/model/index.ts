/** The door of the model: what is in the cluster, and the semantics that every part shares. */
export { chooseEndpoints, endpointKey, externalAddresses, readyOn } from "./endpoints.ts";
export type { EndpointChoice, EndpointQuery } from "./endpoints.ts";
export { compile } from "./compile.ts";
export type { ClusterObjects, CompileOptions } from "./objects.ts";
export { certificateFor, hostRules, match, matchRequest, normalizeHost } from "./routes.ts";
export type { Evaluated, RequestMatch } from "./routes.ts";
export { endpointText, placeName } from "./flow-text.ts";
export { describeFault } from "./faults.ts";
export type { Fault, FaultKind } from "./faults.ts";
export { findingsAbout } from "./findings.ts";
export { addressRequest, isForeignClass, loadBalancerClass, sharingAnnotation } from "./address-request.ts";
export { followPublicName, preferredAddresses, publicName } from "./public-names.ts";
export { proxyProtocolOf } from "./proxy-protocol.ts";
export { selects } from "./pod-index.ts";
export {
  decideDirection,
  decidePolicy,
  isolating,
  nameOfEnd,
  namedPorts,
  withoutPolicies,
} from "./policy.ts";
export { denialText } from "./policy-text.ts";
export type { DirectionDecision, PolicyConnection, PolicyDecision } from "./policy.ts";
export type * from "./types.ts";
export type * from "./flow.ts";

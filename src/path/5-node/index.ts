/** The door of the node hop: from a node to a pod, here or on another node. */
export { startNodes } from "./apply.ts";
export type { NodeNetwork, NodesHandle } from "./apply.ts";
export { explain } from "./explain.ts";
export { explainLoopback } from "./explain-loopback.ts";
export { createLoopbackNode } from "./loopback.ts";
export { mtuText } from "./mtu-watch.ts";
export type { NodeMtu } from "./mtu-watch.ts";
export { leavesBy, leftBy, observeFlow, observeRoute } from "./observe.ts";
export type { LeftBy, NodeObservation } from "./observe.ts";
export { nodeDevice } from "./plan.ts";
export type { NodeIdentity } from "./plan.ts";
export { podLink } from "./pod-link.ts";
export { startPolicyPlane } from "./policy/apply.ts";
export type { PolicyPlane } from "./policy/apply.ts";
export type { PodIdentity, Sandbox, Sandboxes } from "./sandboxes.ts";
export { defaultSettings, leftByMark, networkSettings } from "./settings.ts";
export type { NodeNetworkSettings } from "./settings.ts";

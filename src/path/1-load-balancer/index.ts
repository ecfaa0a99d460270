/** The door of hop 1: public name -> address -> node, and the world outside of the cluster. */
export { startLoadBalancer } from "./apply.ts";
export type { BalanceWriter, LoadBalancer, LoadBalancerOptions } from "./apply.ts";
export { explain } from "./explain.ts";
export { startAnnouncing, type Announcing, type AnnouncingOptions } from "./layer2/apply.ts";
export { observe, type ObservedNode } from "./observe.ts";
export { createOutside, outsideAddresses } from "./outside.ts";
export type { Outside, OutsideOptions } from "./outside.ts";
export { planLoadBalancer, type LoadBalancerPlan, type VipPort } from "./plan.ts";
export { publicAnswer, startPublicDns, type PublicDns } from "./public-dns.ts";
export { ruleWriter } from "./rule-writer.ts";
export { steeringWriter } from "./steering.ts";

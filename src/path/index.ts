/** The request path: which hop explains which place, and the loop that drives a flow through them. */
import type { Snapshot } from "#model";
import { explain as explainLoadBalancer } from "#path/load-balancer";
import { explain as explainIngress } from "#path/ingress";
import { explain as explainService } from "#path/service";
import { explain as explainProxy } from "#path/proxy";
import { explain as explainNode } from "#path/node";
import { explain as explainPod } from "#path/pod";
import { driveThrough, type Here, type HopTable, type Pick, type Route } from "./drive.ts";

export type { Here, Pick, Route, Verdict, Visit } from "./drive.ts";

const hops: HopTable = {
  "public-dns": explainLoadBalancer,
  edge: explainLoadBalancer,
  proxy: explainProxy,
  node: explainNode,
  pod: explainPod,
  ingress: explainIngress,
  "cluster-dns": explainService,
};

/**
 * Drives a flow from its start until it is delivered, rejected, dropped, or unknown. `pick` chooses among the
 * alternatives of a hop that balances. Pure; never throws for a flow.
 */
export function drive(snapshot: Snapshot, start: Here, pick: Pick): Route {
  return driveThrough(hops, snapshot, start, pick);
}

/** The request path: which hop explains which place, and the loop that drives a flow through them. */
import { withoutPolicies, type Snapshot } from "#model";
import { explain as explainLoadBalancer } from "#path/load-balancer";
import { explain as explainIngress } from "#path/ingress";
import { explain as explainService } from "#path/service";
import { explain as explainProxy, type Backend, type ProxyMode, type Rotation } from "#path/proxy";
import { explain as explainNode, explainLoopback } from "#path/node";
import { explain as explainPod } from "#path/pod";
import { driveThrough, type Here, type HopTable, type Pick, type Route } from "./drive.ts";

export type { Here, Pick, Route, Verdict, Visit } from "./drive.ts";

/** What is known of the nodes' Service rules besides the snapshot. */
export interface ProxyFacts {
  /** `nftables` if not given. */
  readonly mode?: ProxyMode;
  /** By node: the lists in force and whose turn is next (`Proxy.rotation`). */
  readonly turns?: ReadonlyMap<string, ReadonlyMap<string, Rotation>>;
  /** By node, then by `rememberedKey`: the endpoint that a client is remembered for, if it is (`Proxy.remembered`). */
  readonly remembered?: ReadonlyMap<string, ReadonlyMap<string, Backend | undefined>>;
  /** By node: endpoints that do not answer it (`Proxy.silent`). */
  readonly silent?: ReadonlyMap<string, ReadonlySet<string>>;
}

function hopsWith({ mode = "nftables", turns, remembered, silent = new Map() }: ProxyFacts): HopTable {
  return {
    "public-dns": explainLoadBalancer,
    edge: explainLoadBalancer,
    proxy: (snapshot, place, flow) => {
      const rotation = turns?.get(place.node);
      const clients = remembered?.get(place.node);
      return explainProxy(snapshot, place, flow, {
        mode,
        silent: silent.get(place.node) ?? new Set(),
        ...(rotation === undefined ? {} : { rotation }),
        ...(clients === undefined ? {} : { remembered: clients }),
      });
    },
    node: mode === "userspace" ? explainLoopback : explainNode,
    pod: explainPod,
    ingress: explainIngress,
    "cluster-dns": (snapshot, place, flow) =>
      explainService(mode === "userspace" ? withoutPolicies(snapshot) : snapshot, place, flow),
  };
}

/**
 * Drives a flow from its start until it is delivered, rejected, dropped, or unknown. `pick` chooses among the
 * alternatives of a hop that balances. Pure; never throws for a flow.
 */
export function drive(snapshot: Snapshot, start: Here, pick: Pick, proxies: ProxyFacts = {}): Route {
  return driveThrough(hopsWith(proxies), snapshot, start, pick);
}

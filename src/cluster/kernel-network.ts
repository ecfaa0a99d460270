/** A cluster on namespaces: nodes joined by a bridge and an overlay, the edge and the internet beside them. */
import type { LiveSnapshotSource } from "#client";
import {
  conntrack,
  homeNetNs,
  ipBatch,
  isLoopback,
  routeGet,
  startNftThread,
  startReaper,
  tcpListener,
} from "#kernel";
import { familyOf, isWithin } from "#lib/ip";
import type { Log } from "#lib/log";
import type { IpFamily } from "#model";
import { createOutside, outsideAddresses, ruleWriter } from "#path/load-balancer";
import { networkSettings, startNodes } from "#path/node";
import { startProxy, type KernelMode } from "#path/proxy";
import { addresses, type ClusterConfig } from "./config.ts";
import { useEgress } from "./egress.ts";
import type { ClusterNetwork } from "./network.ts";
import { writeResolver } from "./places.ts";
import { poolNetworks } from "./pools.ts";

/** Answers to the host go back through the edge, as its requests came: the edge must see both ways of a connection. */
const hostRoute = { to: addresses.hostLinks, via: addresses.edge };

/** Where the edge is on the nodes' network. */
function edgeOf(family: IpFamily): string {
  return outsideAddresses[family].edge.split("/")[0] ?? "";
}

/** Load-balancer addresses that do not lie in the outside network are the edge's affair, too: they must not leave by the way out. */
function poolRoutes(pools: readonly string[], known: readonly { readonly to: string }[]) {
  return pools
    .filter((pool) => !known.some(({ to }) => isWithin(pool.split("/")[0] ?? "", to)))
    .map((to) => ({ to, via: edgeOf(familyOf(to)) }));
}

/** Called early: what takes long in the kernel begins while the rest is loaded. */
export function prepareKernel(): Promise<void> {
  startReaper();
  startNftThread();
  return ipBatch(homeNetNs(), ["link set lo up"]);
}

/** Builds the network. Throws InroadError as the kernel's functions do. */
export async function createKernelNetwork(
  config: ClusterConfig,
  mode: KernelMode,
  { source, log }: { readonly source: LiveSnapshotSource; readonly log: Log },
): Promise<ClusterNetwork> {
  const home = homeNetNs();
  const base = networkSettings(config.ipFamilies, config.overlay);
  const pools = poolNetworks(config.addressPools);
  const toEdge = poolRoutes(pools, base.routes);
  const settings = { ...base, routes: [...base.routes, ...toEdge, hostRoute] };
  const network = startNodes({ nodes: config.nodes, source, settings, log: log.child("nodes") });
  await network.ready;
  // What no rule translated and no pod has must end here: it would leave for the host's networks otherwise.
  await ipBatch(
    home,
    [...config.serviceCIDRs, ...settings.podNetworks].map((cidr) => `route add unreachable ${cidr}`),
  );
  const { edge, internet } = await createOutside({
    home,
    bridge: settings.underlay.bridge,
    families: config.ipFamilies,
    pools,
  });
  await ipBatch(edge, [`route add ${addresses.hostLinks} via ${addresses.control}`]);
  await ipBatch(
    home,
    toEdge.map(({ to, via }) => `route add ${to} via ${via}`),
  );
  const balance = ruleWriter(edge, config.ipFamilies, pools, log.child("load-balancer"));
  const nsOf = (node: string) => network.nodes.get(node)?.ns;
  return {
    home,
    edge,
    internet,
    nodes: network.nodes,
    apiListener: () => tcpListener(home, addresses.control, addresses.apiPort),
    balance,
    balanced: async (filter) => {
      const entries = await conntrack(edge, filter);
      return entries.map((entry) => ({ ...entry, toNode: balance.nodeOf(entry) }));
    },
    startProxy: (node, options) => startProxy({ ...options, node, netns: nsOf(node), mode }),
    evidence: (node, proxy) => ({
      connections: proxy.connections,
      route: (address: string) => routeGet(nsOf(node), address),
    }),
    async entrance(place) {
      if (isLoopback(place.ns)) throw new Error(`${place.ns.name} is no namespace`);
      return { fd: place.ns.fd, ...writeResolver(config.stateDir, place) };
    },
    useEgress: (link) => useEgress(home, link),
    add: (node) => network.add(node),
    remove: (name) => network.remove(name),
    settled: () => network.settled(),
    notes: () => [],
  };
}

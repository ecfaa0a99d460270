/** What a cluster's parts stand on: namespaces of the kernel, or loopback addresses of this process. */
import type { ConntrackEntry, ConntrackFilter, NetPlace } from "#kernel";
import type { Log } from "#lib/log";
import type { Snapshot } from "#model";
import type { BalanceWriter } from "#path/load-balancer";
import type { NodeIdentity, NodeMtu, PolicyPlane } from "#path/node";
import type { NodeAgentOptions, Sandboxes } from "#path/pod";
import type { Proxy, ProxyOptions } from "#path/proxy";
import type { LiveSnapshotSource } from "#client";
import type { ClusterConfig } from "./config.ts";
import type { EgressLink } from "./egress.ts";
import { createKernelNetwork, prepareKernel } from "./kernel-network.ts";
import type { Place, PlaceEntrance } from "./places.ts";

export interface ClusterNetwork {
  /** Where the API server is dialled from and listens. */
  readonly home: NetPlace;
  readonly edge: NetPlace;
  readonly internet: NetPlace;
  readonly nodes: ReadonlyMap<string, NodePlace>;
  /** The listening socket of the API server at its control address. */
  readonly apiListener: () => number;
  readonly balance: BalanceWriter;
  /** Connections that the load balancer chose a node for. */
  readonly balanced: (filter: ConntrackFilter) => Promise<readonly BalancedConnection[]>;
  /** Starts the Service rules of a node. */
  startProxy(node: string, options: Pick<ProxyOptions, "source" | "log" | "onProgrammed">): Proxy;
  /** What the node agent may tell of a node's connections and routes. */
  evidence(node: string, proxy: Proxy): NodeAgentOptions["evidence"];
  /** Lets programs of the command line in at a place. */
  entrance(place: Place): Promise<PlaceEntrance>;
  /** Further variables of mapped commands in a pod. */
  readonly variables?: NonNullable<NodeAgentOptions["variables"]>;
  /** Puts the way out to use that the supervisor opened. */
  useEgress(link: EgressLink): Promise<void>;
  /** Makes the network of one more node; fulfilled when it is wired. */
  add(node: NodeIdentity): Promise<unknown>;
  /** Takes a node's network away; its pods' sandboxes must be gone. Idempotent. */
  remove(name: string): Promise<void>;
  /** Fulfilled when nothing waits to be written to the kernel. */
  settled(): Promise<void>;
  /** What users should know of it, for `up` and `status`. */
  notes(snapshot: Snapshot): readonly string[];
}

/** What is there before there are snapshots to build the network from. */
export interface Ground {
  /** Where the API server dials from; undefined: where this thread is. */
  readonly home: NetPlace | undefined;
  build(options: { readonly source: LiveSnapshotSource; readonly log: Log }): Promise<ClusterNetwork>;
}

/** Prepares the network that the proxy mode asks for. */
export async function layGround(config: ClusterConfig, log: Log): Promise<Ground> {
  const { proxyMode } = config;
  if (proxyMode === "userspace") {
    const { createLoopbackCluster } = await import("./loopback-network.ts");
    const network = createLoopbackCluster(config, log);
    return { home: network.home, build: () => Promise.resolve(network) };
  }
  await prepareKernel();
  return { home: undefined, build: (options) => createKernelNetwork(config, proxyMode, options) };
}

export interface NodePlace {
  readonly node: NodeIdentity;
  readonly ns: NetPlace;
  readonly sandboxes: Sandboxes & {
    find(uid: string): { readonly ns: NetPlace } | undefined;
  };
  readonly policy: Pick<PolicyPlane, "covers" | "denied">;
  /** How large packets may be; undefined where nodes have no links of their own. */
  readonly mtu?: () => NodeMtu;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface BalancedConnection extends ConntrackEntry {
  readonly toNode: string | undefined;
}

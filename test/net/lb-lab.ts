/** Three nodes with their proxies and pods behind the load balancer, and a client on the internet. */
import type { Server } from "node:net";
import { homeNetNs, startNftThread, type NetNs } from "#kernel";
import { silentLog } from "#lib/log";
import type { Endpoint, ServiceModel } from "#model";
import { createOutside, ruleWriter, startLoadBalancer } from "#path/load-balancer";
import type { LoadBalancer, Outside } from "#path/load-balancer";
import { networkSettings } from "#path/node";
import { startProxy, type Proxy } from "#path/proxy";
import { startNodeWorld, type NodeWorld } from "./node-fixture.ts";

export const nodes = ["node-a", "node-b", "node-c"] as const;
export const PORT = 80;
const pools = ["203.0.113.128/25"];

export interface LbLab {
  readonly world: NodeWorld;
  readonly outside: Outside;
  readonly balancer: LoadBalancer;
  readonly proxies: readonly Proxy[];
  /** Puts these Services in force. */
  set(services: readonly ServiceModel[]): Promise<void>;
  close(): Promise<void>;
}

/** @param serve a server on port 8080 of a pod's namespace; `words` are `NODE/POD` */
export async function lbLab(
  servicesOf: (endpoints: readonly Endpoint[]) => readonly ServiceModel[],
  serve: (ns: NetNs, words: string) => Server,
): Promise<LbLab> {
  // As the product does: rules are in force sooner than by a program for each change.
  startNftThread();
  const world = await startNodeWorld("vxlan", ["IPv4"], nodes);
  const home = homeNetNs();
  const { bridge } = networkSettings(["IPv4"], "vxlan").underlay;
  const outside = await createOutside({ home, bridge, pools });
  const { source } = world;
  const pods = [...world.snapshot().podsByAddress.values()];
  const servers = pods.map(({ name, node }) => serve(world.pod(name).ns, `${node}/${name}`));
  const proxies = nodes.map((node) =>
    startProxy({ source, node, netns: world.node(node).ns, mode: "nftables", log: silentLog }),
  );
  const balancer = startLoadBalancer({
    source,
    edge: outside.edge,
    writer: ruleWriter(outside.edge, ["IPv4"], pools, silentLog),
    log: silentLog,
  });
  const lab: LbLab = {
    world,
    outside,
    balancer,
    proxies,
    async set(services) {
      const named = services.map((service) => [`default/${service.name}`, service] as const);
      const snapshot = { ...world.snapshot(), services: new Map(named) };
      source.set(snapshot);
      await Promise.all(proxies.map((proxy) => proxy.programmed(snapshot)));
      await balancer.settled();
    },
    async close() {
      await balancer.close();
      await Promise.all(proxies.map((proxy) => proxy.close()));
      for (const server of servers) server.close();
      await outside.close();
      await world.close();
    },
  };
  await Promise.all([balancer.ready, ...proxies.map(({ ready }) => ready)]);
  await lab.set(servicesOf(pods.map(({ address = "", node = "" }) => endpointOf(address, node))));
  return lab;
}

function endpointOf(address: string, node: string): Endpoint {
  return { address, port: 8080, node, ready: true, serving: true, terminating: false };
}

/** A Service of the lab, the same but for its number: `s1` at 10.96.0.81 and node port 30081. */
export function serviceOf(
  number: number,
  endpoints: readonly Endpoint[],
  more: Partial<ServiceModel>,
): ServiceModel {
  const nodePort = 30_080 + number;
  return {
    namespace: "default",
    name: `s${number}`,
    type: "LoadBalancer",
    clusterIPs: [`10.96.0.${80 + number}`],
    headless: false,
    selector: {},
    ports: [{ name: "", protocol: "TCP", port: PORT, targetPort: 8080, nodePort, endpoints }],
    loadBalancerIPs: [],
    externalTrafficPolicy: "Cluster",
    internalTrafficPolicy: "Cluster",
    sessionAffinity: "None",
    publishNotReadyAddresses: false,
    ...more,
  };
}

/** A cluster without namespaces: every address has an image in 127.0.0.0/8, and this process passes connections on. */
import { createHash } from "node:crypto";
import { closeSync } from "node:fs";
import {
  clientProxyPort,
  createLoopbackNetwork,
  createPortTable,
  imageOf,
  imagePort,
  isLoopback,
  layOut,
  mostClusters,
  portIn,
  tcpListener,
  type LoopbackMap,
  type LoopbackPlace,
} from "#kernel";
import { codeOf, InroadError, messageOf } from "#lib/errors";
import { withoutContained } from "#lib/ip";
import type { Log } from "#lib/log";
import type { Snapshot } from "#model";
import { steeringWriter } from "#path/load-balancer";
import { createLoopbackNode, networkSettings } from "#path/node";
import { startProxy, type Proxy } from "#path/proxy";
import { addresses, type ClusterConfig } from "./config.ts";
import { createClientProxies } from "./client-proxy.ts";
import type { BalancedConnection, ClusterNetwork } from "./network.ts";
import { outsidePlace, podPlace } from "./places.ts";
import { poolNetworks } from "./pools.ts";

/** Finds addresses that no other cluster has. Throws `NoFreeNetwork`. */
export function createLoopbackCluster(config: ClusterConfig, log: Log): ClusterNetwork {
  const pools = poolNetworks(config.addressPools);
  const { map, apiListener } = claimNetwork(config, pools);
  const nodes = new Map<string, ReturnType<typeof createLoopbackNode>>();
  const network = createLoopbackNetwork(map, () => [...nodes.values()].map(({ node }) => node));
  for (const node of config.nodes) nodes.set(node.name, createLoopbackNode(node, network));
  const proxies = new Map<string, Proxy>();
  const clients = createClientProxies(log.child("client proxy"));
  const nsOf = (node: string): LoopbackPlace => {
    const found = nodes.get(node)?.ns;
    if (found === undefined) throw new Error(`there is no node ${node}`);
    return found;
  };
  const internet = network.place("internet", addresses.internet);
  // For programs that nobody starts by `exec`: browsers.
  clients
    .variables(outsidePlace(internet))
    .catch((error: unknown) => log.warn("no client proxy", { reason: messageOf(error) }));
  return {
    home: network.place("home", addresses.control),
    edge: network.place("edge", addresses.edge),
    internet,
    nodes,
    apiListener: () => apiListener,
    balance: steeringWriter(network),
    balanced: async (filter) => {
      const found: BalancedConnection[] = [];
      for (const [node, proxy] of proxies) {
        const entries = await proxy.connections(filter);
        // Those from inside never come to the load balancer.
        const outside = entries.filter(({ original }) => network.nodeOf(original.source) === undefined);
        found.push(...outside.map((entry) => ({ ...entry, toNode: node })));
      }
      return found;
    },
    startProxy(node, options) {
      const proxy = startProxy({ ...options, node, netns: nsOf(node), mode: "userspace", network });
      proxies.set(node, proxy);
      return proxy;
    },
    evidence: (_node, proxy) => ({
      connections: proxy.connections,
      route: async (address: string) => ({ device: "lo", via: imageOf(map, address) ?? address }),
    }),
    async entrance({ ns, ...place }) {
      if (!isLoopback(ns)) throw new Error(`${ns.name} is a namespace`);
      return { variables: await clients.variables({ ...place, ns }) };
    },
    variables: async ({ namespace, name }, ns) =>
      isLoopback(ns) ? clients.variables({ ...podPlace({ namespace, name }, ns, config.domain), ns }) : {},
    useEgress: async () => undefined,
    add: async (node) => nodes.set(node.name, createLoopbackNode(node, network)),
    async remove(name) {
      nodes.delete(name);
      proxies.delete(name);
    },
    settled: async () => undefined,
    notes: (snapshot) => notesOf(map, pools, snapshot),
  };
}

/** What users must know to find things: where the networks are, and which ports are not where they should be. */
function notesOf(map: LoopbackMap, pools: readonly string[], { services, policies }: Snapshot): string[] {
  const image = (address: string): string => imageOf(map, address) ?? address;
  const proxied = [...services].flatMap(([key, { proxiedIPs = [] }]) =>
    proxiedIPs.map((ip) => `${ip} (${key})`),
  );
  const elsewhere = [...services.values()].flatMap(({ clusterIPs, loadBalancerIPs, ports }) =>
    [...clusterIPs, ...loadBalancerIPs].flatMap((address) =>
      ports.flatMap(({ port, protocol }) => {
        const at = map.ports && protocol !== "SCTP" ? portIn(map.ports[protocol], address, port) : undefined;
        return at === undefined
          ? []
          : [
              `another program has port ${imagePort(map, port)}: ${address}:${port} is at ${image(address)}:${at}`,
            ];
      }),
    ),
  );
  return [
    `no namespaces, IPv4 only: Services are at ${image("10.96.0.0")}/16, pods at ${image("10.244.0.0")}/16, ` +
      `load balancers at ${pools.map((pool) => `${image(pool.split("/")[0] ?? "")}/${pool.split("/")[1]}`).join(", ")} of this host`,
    ...(map.moved
      ? [
          `ports below 1024 are not permitted here: port 80 is at ${imagePort(map, 80)}, 443 at ${imagePort(map, 443)}`,
        ]
      : []),
    `programs of this host come in as from the internet by the proxy socks5h://${image(addresses.internet)}:${clientProxyPort}`,
    ...(policies.size === 0
      ? []
      : [`NetworkPolicies (${policies.size}) are not in force without namespaces`]),
    ...(proxied.length === 0
      ? []
      : [`the PROXY protocol is not spoken without namespaces: refused is ${proxied.join(", ")}`]),
    ...elsewhere,
  ];
}

interface Claimed {
  readonly map: LoopbackMap;
  readonly apiListener: number;
}

/** Whoever listens at the image of the API server's address has the network. */
function claimNetwork(
  { name, serviceCIDRs, ipFamilies, overlay }: ClusterConfig,
  pools: readonly string[],
): Claimed {
  const { podNetworks } = networkSettings(ipFamilies, overlay);
  const outside = withoutContained([addresses.outside, ...pools]);
  const first = createHash("sha256").update(name).digest().readUInt16BE(0);
  for (let index = first; index < first + mostClusters; index += 1) {
    const networks = layOut(index, [...serviceCIDRs, ...podNetworks, addresses.underlay, ...outside]);
    const place = { name: "home", address: addresses.control, map: { networks, moved: true } };
    try {
      const apiListener = tcpListener(place, addresses.control, addresses.apiPort);
      const ports = { TCP: createPortTable(), UDP: createPortTable() };
      return { map: { networks, moved: !mayListenBelow1024(place), ports }, apiListener };
    } catch (error) {
      if (codeOf(error) !== "EADDRINUSE") throw error;
    }
  }
  throw new InroadError("NoFreeNetwork", "all loopback networks are taken by other clusters", {
    mend: "take one down: inroad down --name NAME",
  });
}

/** Whether the kernel lets us have privileged ports (ip_unprivileged_port_start, CAP_NET_BIND_SERVICE): it is asked for one. */
function mayListenBelow1024(place: LoopbackPlace): boolean {
  try {
    closeSync(tcpListener({ ...place, map: { ...place.map, moved: false } }, place.address, 1));
    return true;
  } catch (error) {
    return codeOf(error) !== "EACCES";
  }
}

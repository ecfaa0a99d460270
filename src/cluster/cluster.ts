/** Puts an embedded cluster together and takes it apart again. */
import { randomBytes } from "node:crypto";
import { createApiServer } from "#api";
import {
  createClient,
  createInformer,
  createSnapshotSource,
  type Client,
  type LiveSnapshotSource,
} from "#client";
import { startControllers } from "#controllers";
import { homeNetNs, ipBatch, startReaper, tcpConnect, tcpListener, udpSocket } from "#kernel";
import { kindByPlural, kinds, withLastApplied } from "#kube";
import type { Log } from "#lib/log";
import { createOutside, startLoadBalancer, startPublicDns, type Outside } from "#path/load-balancer";
import { defaultSettings, startNodes, type NodeNetwork } from "#path/node";
import { startNodeAgent } from "#path/pod";
import { startProxy } from "#path/proxy";
import { createDnsForwarder } from "#serve/dns";
import { serveApi } from "./api-listener.ts";
import { components } from "./components.ts";
import { addresses, type ClusterConfig } from "./config.ts";
import { createObjects } from "./create-objects.ts";
import { keepCertificate } from "./default-certificate.ts";
import type { HostSide } from "./host-side.ts";
import type { ClusterStatus, Identity, ToCluster } from "./messages.ts";
import { serveOrders } from "./orders.ts";
import { relay } from "./publish.ts";
import { missingParts, untilReady } from "./readiness.ts";
import { ingressAddress, statusOf } from "./status.ts";
import { controllerName, systemObjects } from "./system.ts";
import { serveForwards } from "./threads.ts";
import { unknownKinds } from "./unknown-kinds.ts";

/** Answers to the host go back through the edge, as its requests came: the edge must see both ways of a connection. */
const hostRoute = { to: addresses.hostLinks, via: addresses.edge };

export interface Cluster {
  status(): ClusterStatus;
  stop(): Promise<void>;
}

export interface Surroundings {
  readonly host: HostSide;
  readonly identity: Promise<Identity>;
  readonly log: Log;
}

type Start = Extract<ToCluster, { type: "start" }>;

/** Brings everything up; fulfilled when the cluster is ready, or has had long enough to become it. */
export async function startCluster(start: Start, { host, identity, log }: Surroundings): Promise<Cluster> {
  const { config, objects } = start;
  const home = homeNetNs();
  startReaper();
  await ipBatch(home, ["link set lo up"]);
  const secrets = {
    identity: await identity,
    tokens: { ingress: newToken(), dns: newToken() },
    debugToken: newToken(),
  };
  const unknown = unknownKinds(objects);
  const api = createApiServer({
    serviceCIDR: config.serviceCIDR,
    nodePorts: { first: 30_000, last: 32_767 },
    kinds: [...kinds, ...unknown],
    log: log.child("api"),
    authenticate: { tokens: users(secrets.tokens), clientCA: secrets.identity.caCertificate },
    debugToken: secrets.debugToken,
    kubernetesEndpoint: { address: addresses.control, port: addresses.apiPort },
    dial: (address, port) => tcpConnect(home, address, port),
  });
  const client = createClient(api.transport({ name: "system:inroad", groups: ["system:masters"] }));
  const source = createSnapshotSource(client, { domain: config.domain, controllerName, log });
  const settings = { ...defaultSettings, routes: [...defaultSettings.routes, hostRoute] };
  const network = startNodes({ nodes: config.nodes, source, settings, log: log.child("nodes") });
  await network.ready;
  // What no rule translated and no pod has must end here: it would leave for the host's networks otherwise.
  await ipBatch(
    home,
    [config.serviceCIDR, config.podCIDR].map((cidr) => `route add unreachable ${cidr}`),
  );
  const listener = serveApi(api, secrets.identity, home);
  await listener.listening;
  host.onApi((server) => listener.use(server));
  const outside = await createOutside({ home, bridge: settings.underlay.bridge });
  await ipBatch(outside.edge, [`route add ${addresses.hostLinks} via ${addresses.control}`]);
  const certificate = keepCertificate(host, source);
  await Promise.all([source.synced, certificate.first]);

  const controllers = startControllers({
    client,
    log: log.child("controllers"),
    lbPool: addresses.pool,
    controllerName,
  });
  const parts = { ...secrets, certificate: certificate.current };
  const nodes = [...network.nodes.values()].map((node) =>
    startNode(node, { config, client, source, log, parts }),
  );
  const balancer = startLoadBalancer({
    source,
    edge: outside.edge,
    pool: addresses.pool,
    log: log.child("load-balancer"),
  });
  const publicDns = startPublicNames(outside, source, log);
  lendSockets(host, config, { outside, source, log });

  const system = systemObjects(Math.min(2, config.nodes.length));
  await createObjects(client, [...system, ...objects.map(withLastApplied)], unknown);
  const deployments = createInformer(client, kindOfDeployments(), { log });
  const missing = (): string[] =>
    missingParts(source.current(), deployments.list(), {
      wantedNodes: config.nodes.length,
      balancer: balancer.current(),
    });
  const status = (): ClusterStatus => statusOf(config, source.current(), missing());
  const proxies = new Map(nodes.map(({ name, proxy }) => [name, proxy]));
  const orders = await serveOrders({
    start,
    client,
    source,
    network,
    outside,
    balancer,
    proxies,
    secrets,
    status,
  });
  await Promise.all([
    deployments.synced,
    publicDns.ready,
    balancer.ready,
    ...nodes.map((node) => node.ready),
  ]);
  await untilReady(missing, source);
  await Promise.all([...nodes.map((node) => node.programmed()), balancer.settled(), network.settled()]);

  return {
    status,
    stop: async () => {
      orders.close();
      listener.close();
      await Promise.all(nodes.map((node) => node.stop()));
      await Promise.all([controllers.close(), balancer.close(), publicDns.close()]);
      api.close();
    },
  };
}

interface NodeParts {
  readonly config: ClusterConfig;
  readonly client: Client;
  readonly source: LiveSnapshotSource;
  readonly log: Log;
  readonly parts: Parameters<typeof components>[1];
}

/** What runs on a node: its Service rules and its agent. */
function startNode(
  { node, ns, sandboxes, annotations }: NodeNetwork,
  { config, client, source, log, parts }: NodeParts,
) {
  const proxy = startProxy({
    source,
    node: node.name,
    netns: ns,
    mode: config.proxyMode,
    log: log.child(`proxy ${node.name}`),
  });
  const agent = startNodeAgent({
    client,
    source,
    node: { ...node, annotations },
    ns,
    sandboxes,
    components: components(config, parts),
    commands: config.commands,
    stateDir: config.stateDir,
    dns: { address: addresses.dnsService, domain: config.domain },
    debugToken: parts.debugToken,
    log: log.child(`agent ${node.name}`),
  });
  return {
    name: node.name,
    proxy,
    ready: Promise.all([proxy.ready, agent.ready]),
    programmed: () => proxy.programmed(source.current()),
    stop: async () => {
      await agent.close();
      await proxy.close();
    },
  };
}

function startPublicNames({ internet }: Outside, source: LiveSnapshotSource, log: Log) {
  return startPublicDns({
    source,
    listen: {
      udp: { fd: udpSocket(internet, addresses.publicDns, 53) },
      tcp: { fd: tcpListener(internet, addresses.publicDns, 53) },
    },
    log: log.child("public-dns"),
  });
}

/** Puts the host's sockets to use: published ports, and DNS for names outside the cluster. */
function lendSockets(
  host: HostSide,
  config: ClusterConfig,
  { outside, source, log }: { outside: Outside; source: LiveSnapshotSource; log: Log },
): void {
  host.onPort((port, server) =>
    relay(server, {
      from: outside.internet,
      port,
      target: () => ingressAddress(source.current()),
      log: log.child("publish"),
    }),
  );
  host.onDns((socket) => {
    const forwarder = createDnsForwarder({ socket, upstreams: config.upstreamDns });
    serveForwards((query) => forwarder.forward(query));
  });
}

function newToken(): string {
  return randomBytes(32).toString("base64url");
}

function users(tokens: Readonly<Record<"ingress" | "dns", string>>) {
  return new Map([
    [
      tokens.ingress,
      { name: "system:serviceaccount:inroad-system:inroad-ingress", groups: ["system:serviceaccounts"] },
    ],
    [tokens.dns, { name: "system:serviceaccount:kube-system:kube-dns", groups: ["system:serviceaccounts"] }],
  ]);
}

function kindOfDeployments() {
  const kind = kindByPlural("apps", "v1", "deployments");
  if (kind === undefined) throw new Error("the API has no deployments");
  return kind;
}

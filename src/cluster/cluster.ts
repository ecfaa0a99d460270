/** Puts an embedded cluster together and takes it apart again. */
import { randomBytes } from "node:crypto";
import { createApiServer } from "#api";
import {
  createClient,
  createInformer,
  createSnapshotSource,
  keepProgrammedLease,
  watchProgrammed,
  type Client,
  type LiveSnapshotSource,
  type ProgrammedLease,
  type ProgrammedWatch,
} from "#client";
import { startControllers } from "#controllers";
import { tcpConnect, tcpListener, udpSocket, type NetPlace } from "#kernel";
import { kindByPlural, kinds, withLastApplied } from "#kube";
import { messageOf } from "#lib/errors";
import type { Log } from "#lib/log";
import { startLoadBalancer, startPublicDns } from "#path/load-balancer";
import { startNodeAgent, type NodeAgent, type NodeAgentOptions } from "#path/pod";
import type { Proxy } from "#path/proxy";
import { carrierOnlyTo, createSharedSocketCarrier } from "#serve/dns";
import { serveApi } from "./api-listener.ts";
import { components, prepareComponents } from "./components.ts";
import { addresses, type ClusterConfig } from "./config.ts";
import { createObjects } from "./create-objects.ts";
import { keepCertificate } from "./default-certificate.ts";
import { createFaults } from "./faults.ts";
import type { HostSide } from "./host-side.ts";
import type { ClusterStatus, Identity, ToCluster } from "./messages.ts";
import { layGround, type ClusterNetwork, type NodePlace } from "./network.ts";
import { serveOrders } from "./orders.ts";
import { relay } from "./publish.ts";
import { createMembership } from "./membership.ts";
import { missingParts, untilReady } from "./readiness.ts";
import { severable, type Severable } from "./severed.ts";
import { ingressAddress, statusOf } from "./status.ts";
import { controllerName, ingressService, systemNamespace, systemObjects } from "./system.ts";
import { createForwardLines, type ForwardLines } from "./threads.ts";
import { unknownKinds } from "./unknown-kinds.ts";

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
  const ingressReplicas = Math.min(2, config.nodes.length);
  prepareComponents(ingressReplicas);
  const ground = await layGround(config, log);
  const secrets = {
    identity: await identity,
    tokens: { ingress: newToken(), dns: newToken() },
    debugToken: newToken(),
  };
  const unknown = unknownKinds(objects);
  const api = createApiServer({
    serviceCIDRs: config.serviceCIDRs,
    nodePorts: { first: 30_000, last: 32_767 },
    kinds: [...kinds, ...unknown],
    log: log.child("api"),
    authenticate: { tokens: users(secrets.tokens), clientCA: secrets.identity.caCertificate },
    debugToken: secrets.debugToken,
    kubernetesEndpoint: { address: addresses.control, port: addresses.apiPort },
    dial: (address, port) => tcpConnect(ground.home, address, port),
  });
  const transport = api.transport({ name: "system:inroad", groups: ["system:masters"] });
  const client = createClient(transport);
  const source = createSnapshotSource(client, { domain: config.domain, controllerName, log });
  // The components' Leases live there.
  await createObjects(client, [systemNamespace], unknown);
  const leases = createLeases(client, log);
  const dataPlanes = watchProgrammed(client, { log });
  const certificate = keepCertificate(host, source);
  const [network] = await Promise.all([ground.build({ source, log }), source.synced]);
  const proxies = startProxies(network, { source, log, leases });
  const listener = serveApi(api, secrets.identity, network.apiListener());
  await listener.listening;
  host.onApi((server) => listener.use(server));
  const controllers = startControllers({
    client,
    log: log.child("controllers"),
    addressPools: config.addressPools,
    controllerName,
  });
  const balancer = startLoadBalancer({
    source,
    edge: network.edge,
    writer: network.balance,
    log: log.child("load-balancer"),
    onProgrammed: leases.keep("load-balancer", "load-balancer", "edge").announce,
  });
  const publicDns = startPublicNames(network.internet, source, log);
  const forwards = createForwardLines();
  useLoans(host, config, { network, source, forwards, log });

  // A pod whose first packets met no rules would be led astray for as long as its flow is remembered.
  await Promise.all([certificate.first, ...[...proxies.values()].map(({ ready }) => ready)]);
  const parts = components(config, {
    ...secrets,
    certificate: certificate.current,
    connect: { ingress: certificate.connect, dns: forwards.connect },
  });
  const agents = new Map<string, NodeAgent>();
  // Each agent has a way of its own to the API server, for faults to cut.
  const ways = new Map<string, Severable>();
  const runAgent = (node: NodePlace): Promise<void> => {
    const way = severable(transport);
    ways.set(node.node.name, way);
    const agent = startAgent(node, {
      ...{ config, client: createClient(way.transport), source, log, components: parts },
      programmed: dataPlanes,
      debugToken: secrets.debugToken,
      evidence: evidenceOf(network, proxies, node),
      ...(network.variables === undefined ? {} : { variables: network.variables }),
    });
    agents.set(node.node.name, agent);
    return agent.ready;
  };
  await Promise.all([...network.nodes.values()].map(runAgent));
  const membership = createMembership({
    config,
    client,
    network,
    proxies,
    agents,
    start: async (name) => {
      const node = network.nodes.get(name);
      if (node === undefined) return;
      const proxy = startNodeProxy(network, name, { source, log, leases });
      proxies.set(name, proxy);
      await proxy.ready;
      await runAgent(node);
    },
  });

  const system = systemObjects(ingressReplicas);
  await createObjects(client, [...system, ...objects.map(withLastApplied)], unknown);
  const deployments = createInformer(client, kindOfDeployments(), { log });
  const missing = (): string[] =>
    missingParts(source.current(), deployments.list(), {
      wantedNodes: network.nodes.size,
      balancer: balancer.current(),
    });
  const faults = createFaults({ client, source, network, agents: ways });
  const status = (): ClusterStatus =>
    statusOf(config, source.current(), missing(), {
      notes: network.notes(source.current()),
      mtuOf: (node) => network.nodes.get(node)?.mtu?.(),
      faults: faults.list(),
    });
  const orders = await serveOrders({
    start,
    client,
    source,
    network,
    proxies,
    secrets,
    status,
    membership,
    faults,
  });
  await Promise.all([deployments.synced, publicDns.ready, balancer.ready]);
  await untilReady(missing, source);
  const programmed = [...proxies.values()].map((proxy) => proxy.programmed(source.current()));
  await Promise.all([...programmed, balancer.settled(), network.settled()]);

  return {
    status,
    stop: async () => {
      orders.close();
      listener.close();
      await Promise.all([...agents.values()].map((agent) => agent.close()));
      await Promise.all([...proxies.values()].map((proxy) => proxy.close()));
      await Promise.all([controllers.close(), balancer.close(), publicDns.close(), leases.close()]);
      dataPlanes.close();
      api.close();
    },
  };
}

/** The Service rules of each node, by its name. */
function startProxies(network: ClusterNetwork, parts: ProxyParts): Map<string, Proxy> {
  return new Map([...network.nodes.keys()].map((name) => [name, startNodeProxy(network, name, parts)]));
}

type ProxyParts = Pick<NodeParts, "source" | "log"> & { readonly leases: Leases };

function startNodeProxy(network: ClusterNetwork, name: string, { source, log, leases }: ProxyParts): Proxy {
  const lease = leases.keep("proxy", `proxy-${name}`, name);
  const proxy = network.startProxy(name, {
    source,
    log: log.child(`proxy ${name}`),
    onProgrammed: lease.announce,
  });
  return {
    ...proxy,
    // Of a node that leaves nobody must wait for.
    close: async (options) => {
      await lease.close();
      await proxy.close(options);
    },
  };
}

/** The Leases of the components that run in this thread. */
interface Leases {
  keep(component: "proxy" | "load-balancer", name: string, holder: string): ProgrammedLease;
  close(): Promise<void>;
}

function createLeases(client: Client, log: Log): Leases {
  const kept: ProgrammedLease[] = [];
  return {
    keep(component, name, holder) {
      const { namespace } = ingressService;
      const lease = keepProgrammedLease({ client, component, namespace, name, holder, log });
      kept.push(lease);
      return lease;
    },
    close: async () => {
      await Promise.all(kept.map((lease) => lease.close()));
    },
  };
}

function evidenceOf(
  network: ClusterNetwork,
  proxies: ReadonlyMap<string, Proxy>,
  { node: { name } }: NodePlace,
): NodeParts["evidence"] {
  const proxy = proxies.get(name);
  if (proxy === undefined) throw new Error(`node ${name} has no proxy`);
  return network.evidence(name, proxy);
}

interface NodeParts {
  readonly config: ClusterConfig;
  readonly client: Client;
  readonly source: LiveSnapshotSource;
  readonly programmed: ProgrammedWatch;
  readonly log: Log;
  readonly components: ReturnType<typeof components>;
  readonly debugToken: string;
  readonly evidence: NodeAgentOptions["evidence"];
  readonly variables?: NonNullable<NodeAgentOptions["variables"]>;
}

/** Runs the pods of a node. */
function startAgent({ node, ns, sandboxes, policy, annotations }: NodePlace, parts: NodeParts): NodeAgent {
  const { config, log, ...rest } = parts;
  const zone = config.nodes.find(({ name }) => name === node.name)?.zone;
  const labels = zone === undefined ? {} : { "topology.kubernetes.io/zone": zone };
  return startNodeAgent({
    ...rest,
    node: { ...node, labels, annotations },
    ns,
    sandboxes,
    policy,
    commands: config.commands,
    stateDir: config.stateDir,
    dns: { address: addresses.dnsService, domain: config.domain },
    log: log.child(`agent ${node.name}`),
  });
}

function startPublicNames(internet: NetPlace, source: LiveSnapshotSource, log: Log) {
  return startPublicDns({
    source,
    listen: {
      udp: { fd: udpSocket(internet, addresses.publicDns, 53) },
      tcp: { fd: tcpListener(internet, addresses.publicDns, 53) },
    },
    log: log.child("public-dns"),
  });
}

/** Puts to use what the host lends: published ports, DNS for names outside the cluster, the way out. */
function useLoans(
  host: HostSide,
  config: ClusterConfig,
  {
    network,
    source,
    forwards,
    log,
  }: { network: ClusterNetwork; source: LiveSnapshotSource; forwards: ForwardLines; log: Log },
): void {
  host.onPort((port, server) =>
    relay(server, {
      from: network.internet,
      port,
      target: () => ingressAddress(source.current()),
      log: log.child("publish"),
    }),
  );
  host.onDns((socket) => {
    const { carry } = createSharedSocketCarrier({ socket, tcp: host.dnsByTcp });
    forwards.serve(carrierOnlyTo(config.upstreamDns, carry));
  });
  host.onEgress((link) => {
    network.useEgress(link).catch((error: unknown) => log.warn("no way out", { why: messageOf(error) }));
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

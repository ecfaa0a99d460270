import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { after, before, test } from "node:test";
import {
  closeNetNs,
  createNetNs,
  homeNetNs,
  ipBatch,
  setSysctls,
  tcpConnect,
  tcpListener,
  udpSocket,
  type NetNs,
} from "#kernel";
import { silentLog } from "#lib/log";
import type { ServiceModel, Snapshot, SnapshotSource } from "#model";
import {
  createOutside,
  explain,
  observe,
  ruleWriter,
  startLoadBalancer,
  startPublicDns,
  type LoadBalancer,
  type Outside,
  type PublicDns,
} from "#path/load-balancer";
import { resolveName, socketsFrom } from "#serve/dns";

const vip = "203.0.113.128";
const otherVip = "203.0.113.129";
const vip6 = "2001:db8:203:113:8000::80";
const client6 = "2001:db8:203:113::10";
const client = "203.0.113.10";
const healthPort = 32001;

/** Ready endpoints on both nodes, so that their health ports decide. */
const endpoints = ["node-a", "node-b"].map((node, index) => ({
  address: `10.244.${index}.2`,
  port: 80,
  node,
  ready: true,
  serving: true,
  terminating: false,
}));

const service: ServiceModel = {
  namespace: "inroad-system",
  name: "inroad-ingress",
  type: "LoadBalancer",
  clusterIPs: ["10.96.7.7"],
  headless: false,
  selector: {},
  ports: [{ name: "http", protocol: "TCP", port: 80, targetPort: 80, endpoints }],
  loadBalancerIPs: [vip, vip6],
  externalTrafficPolicy: "Local",
  internalTrafficPolicy: "Cluster",
  healthCheckNodePort: healthPort,
  sessionAffinity: "None",
  publishNotReadyAddresses: false,
};

const addresses = { "node-a": "172.30.0.11", "node-b": "172.30.0.12" } as const;
const addresses6 = { "node-a": "fd00:172:30::11", "node-b": "fd00:172:30::12" } as const;
const families = ["IPv4", "IPv6"] as const;
/** The default ones, and one that lies elsewhere and is no single network. */
const pools = [
  ...["203.0.113.128/25", "2001:db8:203:113:8000::/65"],
  ...["198.51.100.7/32", "198.51.100.8/31", "2001:db8:51::/64"],
];

function snapshotWith(services: readonly ServiceModel[]): Snapshot {
  return {
    domain: "cluster.local",
    nodes: new Map(
      (["node-a", "node-b"] as const).map((name) => {
        const both = [addresses[name], addresses6[name]];
        const pods = { podCIDR: "10.244.0.0/24", podCIDRs: [] };
        return [name, { name, address: addresses[name], addresses: both, ...pods, ready: true }];
      }),
    ),
    pods: new Map(),
    podsByAddress: new Map(),
    policies: new Map(),
    namespaces: new Set(),
    services: new Map(services.map((one) => [`${one.namespace}/${one.name}`, one])),
    routes: { hosts: new Map(), certificates: [] },
    publicNames: new Map([["api.hadywafa.com", { addresses: [vip] }]]),
    findings: [],
  };
}

let snapshot = snapshotWith([service]);
const listeners = new Set<(next: Snapshot) => void>();
const source: SnapshotSource = {
  current: () => snapshot,
  subscribe(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

function setSnapshot(next: Snapshot): void {
  snapshot = next;
  for (const listener of listeners) listener(next);
}

/** A machine that terminates the address itself and says who it is and whom it sees. */
interface FakeNode {
  readonly ns: NetNs;
  readonly servers: Server[];
  healthy: boolean;
}

/** The IPv6 part: its own address, the one that it terminates, and the way to the client. */
function routes6(name: keyof typeof addresses): string[] {
  return [
    `address add ${addresses6[name]}/64 dev eth0 nodad`,
    `address add ${vip6}/128 dev lo nodad`,
    "route add 2001:db8:203:113::/64 via fd00:172:30::2",
  ];
}

async function createFakeNode(name: keyof typeof addresses): Promise<FakeNode> {
  const ns = createNetNs(name);
  setSysctls(ns, { "net/ipv4/conf/all/rp_filter": "0", "net/ipv4/conf/default/rp_filter": "0" });
  await ipBatch(ns, [
    "link set lo up",
    `link add eth0 type veth peer name ${name} netns ${homeNetNs().path}`,
    `address add ${addresses[name]}/24 dev eth0`,
    "link set eth0 up",
    `address add ${vip}/32 dev lo`,
    "route add 203.0.113.0/24 via 172.30.0.2",
    ...routes6(name),
  ]);
  await ipBatch(homeNetNs(), [`link set ${name} master br-test up`]);
  const node: FakeNode = { ns, servers: [], healthy: true };
  const serve = (
    address: string,
    port: number,
    handle: (q: IncomingMessage, s: ServerResponse) => void,
  ): void => {
    node.servers.push(createServer(handle).listen({ fd: tcpListener(ns, address, port) }));
  };
  for (const address of [vip, vip6])
    serve(address, 80, (request, response) => response.end(`${name} ${request.socket.remoteAddress}`));
  serve(addresses[name], healthPort, (_request, response) => {
    response.writeHead(node.healthy ? 200 : 503).end();
  });
  return node;
}

let outside: Outside;
let balancer: LoadBalancer;
let publicDns: PublicDns;
const nodes: Partial<Record<string, FakeNode>> = {};

before(async () => {
  const home = homeNetNs();
  await ipBatch(home, [
    "link set lo up",
    "link add br-test type bridge",
    "address add 172.30.0.1/24 dev br-test",
  ]);
  await ipBatch(home, ["link set br-test up"]);
  outside = await createOutside({ home, bridge: "br-test", families, pools });
  for (const name of ["node-a", "node-b"] as const) nodes[name] = await createFakeNode(name);
  balancer = startLoadBalancer({
    source,
    edge: outside.edge,
    writer: ruleWriter(outside.edge, families, pools, silentLog),
    log: silentLog,
  });
  const listen = {
    udp: { fd: udpSocket(outside.internet, "203.0.113.53", 53) },
    tcp: { fd: tcpListener(outside.internet, "203.0.113.53", 53) },
  };
  publicDns = startPublicDns({ source, listen, log: silentLog });
  await Promise.all([balancer.ready, publicDns.ready]);
  await until(() => eligible().length === 2);
});

after(async () => {
  await balancer.close();
  await publicDns.close();
  for (const node of Object.values(nodes)) {
    for (const server of node?.servers ?? []) {
      server.closeAllConnections();
      server.close();
    }
    if (node !== undefined) closeNetNs(node.ns);
  }
  await outside.close();
  await ipBatch(homeNetNs(), ["link delete br-test"]);
});

function eligible(): string[] {
  const [port] = balancer.current().ports;
  return (port?.candidates ?? [])
    .filter((candidate) => candidate.eligible)
    .map((candidate) => candidate.name);
}

/** Waits until the condition holds and is in the kernel; fails after two seconds. */
async function until(condition: () => boolean): Promise<number> {
  const started = performance.now();
  while (!condition()) {
    assert.ok(performance.now() - started < 2000, "still not so after two seconds");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await balancer.settled();
  return performance.now() - started;
}

function dial(address: string, port: number): Socket {
  return tcpConnect(outside.internet, address, port);
}

/** The answer to one GET on a connection of its own: `NODE CLIENT-ADDRESS`. */
async function get(address = vip): Promise<string> {
  const socket = dial(address, 80);
  socket.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  return text.slice(text.indexOf("\r\n\r\n") + 4);
}

async function getMany(count: number): Promise<string[]> {
  const answers: string[] = [];
  for (let i = 0; i < count; i++) answers.push((await get()).split(" ")[0] ?? "");
  return answers;
}

/** The code of the error that a connection ends with. */
async function refusal(address: string, port: number): Promise<unknown> {
  const socket = dial(address, port);
  const [error] = await once(socket, "error");
  return error.code;
}

/** A keep-alive connection on which requests can be sent one after the other. */
async function openConnection(): Promise<{ socket: Socket; node: string; ask(): Promise<string> }> {
  const socket = dial(vip, 80);
  const ask = async (): Promise<string> => {
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    const [chunk] = await once(socket, "data");
    return String(chunk).split("\r\n\r\n")[1] ?? "";
  };
  const first = await ask();
  return { socket, node: first.split(" ")[0] ?? "", ask };
}

test("connections alternate between the nodes, and the node sees the client's own address", async () => {
  const answers: string[] = [];
  for (let i = 0; i < 10; i++) answers.push(await get());
  assert.deepEqual(new Set(answers), new Set([`node-a ${client}`, `node-b ${client}`]));
  for (let i = 1; i < answers.length; i++) assert.notEqual(answers[i], answers[i - 1]);
});

test("an IPv6 address is balanced as an IPv4 one is, and the node sees the client's own address", async () => {
  const answers: string[] = [];
  for (let i = 0; i < 6; i++) answers.push(await get(vip6));
  assert.deepEqual(new Set(answers), new Set([`node-a ${client6}`, `node-b ${client6}`]));
  for (let i = 1; i < answers.length; i++) assert.notEqual(answers[i], answers[i - 1]);
  assert.equal(await refusal(vip6, 81), "ECONNREFUSED");
  assert.equal(await refusal("2001:db8:203:113:8000::81", 80), "ECONNREFUSED");
});

test("requests of one connection stay on its node", async () => {
  const connection = await openConnection();
  for (let i = 0; i < 4; i++) assert.match(await connection.ask(), new RegExp(`^${connection.node} `));
  connection.socket.destroy();
});

test("the edge's own record of a connection names the node that answered", async () => {
  const connection = await openConnection();
  const { localPort } = connection.socket;
  const observed = await observe(outside.edge, balancer, {
    protocol: "TCP",
    source: { address: client, ...(localPort === undefined ? {} : { port: localPort }) },
    destination: { address: vip, port: 80 },
  });
  assert.equal(observed?.node, connection.node);
  assert.match(
    observed?.evidence ?? "",
    new RegExp(`${client}:${localPort} -> ${vip}:80 .*${connection.node}`),
  );
  connection.socket.destroy();
});

test("a node that says 503 gets no new connection within a second, and keeps its established ones", async () => {
  const node = nodes["node-b"];
  assert.ok(node);
  let connection = await openConnection();
  if (connection.node !== "node-b") connection = await openConnection();
  assert.equal(connection.node, "node-b");
  node.healthy = false;
  assert.ok((await until(() => eligible().length === 1)) < 1000);
  assert.deepEqual(new Set(await getMany(6)), new Set(["node-a"]));
  assert.match(await connection.ask(), /^node-b /);
  connection.socket.destroy();
  node.healthy = true;
  await until(() => eligible().length === 2);
  assert.deepEqual(new Set(await getMany(2)), new Set(["node-a", "node-b"]));
});

test("a dead node gets no new connection within a second, and its established ones are reset", async () => {
  const node = nodes["node-a"];
  assert.ok(node);
  let connection = await openConnection();
  if (connection.node !== "node-a") connection = await openConnection();
  assert.equal(connection.node, "node-a");
  await ipBatch(node.ns, ["link set eth0 down"]);
  const failed = once(connection.socket, "error");
  assert.ok((await until(() => balancer.current().gone.includes("node-a"))) < 1000);
  assert.deepEqual(eligible(), ["node-b"]);
  assert.deepEqual(new Set(await getMany(4)), new Set(["node-b"]));
  connection.socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const [error] = await failed;
  assert.equal(error.code, "ECONNRESET");
  await ipBatch(node.ns, ["link set eth0 up", "route add 203.0.113.0/24 via 172.30.0.2"]);
  await until(() => eligible().length === 2);
  assert.deepEqual(new Set(await getMany(2)), new Set(["node-a", "node-b"]));
});

test("without a healthy node, a connection is refused at once", async () => {
  for (const node of Object.values(nodes)) if (node !== undefined) node.healthy = false;
  await until(() => eligible().length === 0);
  assert.equal(await refusal(vip, 80), "ECONNREFUSED");
  for (const node of Object.values(nodes)) if (node !== undefined) node.healthy = true;
  await until(() => eligible().length === 2);
  assert.equal((await getMany(1)).length, 1);
});

test("ports and addresses that no Service has are refused", async () => {
  assert.equal(await refusal(vip, 81), "ECONNREFUSED");
  assert.equal(await refusal(otherVip, 80), "ECONNREFUSED");
});

test("every pool is routed to the edge and refused there, and what is in none is unreachable", async () => {
  for (const address of ["198.51.100.7", "198.51.100.9", "2001:db8:51::1"])
    assert.equal(await refusal(address, 80), "ECONNREFUSED", address);
  for (const address of ["198.51.100.10", "2001:db8:52::1"])
    assert.match(String(await refusal(address, 80)), /^E(NETUNREACH|HOSTUNREACH)$/, address);
});

test("a Service that goes takes its address along, and one that comes brings it", async () => {
  setSnapshot(snapshotWith([]));
  await balancer.settled();
  assert.equal(await refusal(vip, 80), "ECONNREFUSED");
  setSnapshot(snapshotWith([service]));
  await until(() => eligible().length === 2);
  assert.deepEqual(new Set(await getMany(2)), new Set(["node-a", "node-b"]));
});

test("a node that is excluded by its label is left out although it is healthy", async () => {
  const nodesNow = new Map(snapshot.nodes);
  const nodeA = nodesNow.get("node-a");
  assert.ok(nodeA);
  nodesNow.set("node-a", { ...nodeA, excludedFromLoadBalancers: true });
  setSnapshot({ ...snapshot, nodes: nodesNow });
  await balancer.settled();
  assert.deepEqual(new Set(await getMany(4)), new Set(["node-b"]));
  setSnapshot(snapshotWith([service]));
  await until(() => eligible().length === 2);
});

test("the public DNS answers a client in the internet, by UDP", async () => {
  const sockets = socketsFrom({
    udpDescriptor: () => udpSocket(outside.internet, "0.0.0.0", 0),
    tcpConnect: (address, port) => tcpConnect(outside.internet, address, port),
  });
  const nameservers = [{ address: "203.0.113.53", port: 53 }];
  const config = { nameservers, search: [], ndots: 1, timeoutMs: 1000, sockets };
  const found = await resolveName(config, "api.hadywafa.com", "A");
  assert.deepEqual(
    found.records.map((record) => "address" in record && record.address),
    [vip],
  );
  assert.equal((await resolveName(config, "example.com", "A")).outcome, "nxdomain");
});

const endpoint = (node: string, address: string) => ({
  address,
  port: 80,
  node,
  ready: true,
  serving: true,
  terminating: false,
});

test("every node that answers is one that was predicted", async () => {
  const [port] = service.ports;
  assert.ok(port);
  const ready = [endpoint("node-a", "10.244.0.5"), endpoint("node-b", "10.244.1.5")];
  const withEndpoints = { ...service, ports: [{ ...port, endpoints: ready }] };
  const { outcome } = explain(
    snapshotWith([withEndpoints]),
    { at: "edge" },
    {
      protocol: "TCP",
      source: { address: client },
      destination: { address: vip, port: 80 },
    },
  );
  assert.ok(outcome.kind === "next");
  const predicted = outcome.alternatives.map((alternative) => alternative.name);
  assert.deepEqual(new Set(await getMany(4)), new Set(predicted));
});

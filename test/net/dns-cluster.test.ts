import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  closeNetNs,
  createNetNs,
  homeNetNs,
  ipBatch,
  run,
  tcpConnect,
  tcpListener,
  udpSocket,
  type NetNs,
} from "#kernel";
import { silentLog } from "#lib/log";
import type { Endpoint, ServiceModel, Snapshot } from "#model";
import { createUpstreams, observe, podSearch, startDns, type ClusterDns } from "#path/service";
import {
  createSharedSocketCarrier,
  resolveName,
  socketCarrier,
  socketsFrom,
  startDnsServer,
  type DnsServer,
} from "#serve/dns";
import { formatRecord, type ResourceRecord } from "#wire/dns";

const server = "10.96.0.10";
const pod = { namespace: "default", name: "client" };

const service = (name: string, changes: Partial<ServiceModel>): ServiceModel => ({
  namespace: "default",
  name,
  type: "ClusterIP",
  clusterIPs: [],
  headless: false,
  selector: {},
  ports: [],
  loadBalancerIPs: [],
  externalTrafficPolicy: "Cluster",
  internalTrafficPolicy: "Cluster",
  sessionAffinity: "None",
  publishNotReadyAddresses: false,
  ...changes,
});

const members = Array.from({ length: 120 }, (_, i): Endpoint => ({
  address: `10.244.0.${i + 10}`,
  port: 80,
  ready: true,
  serving: true,
  terminating: false,
}));

const services = [
  service("api-service", {
    clusterIPs: ["10.96.1.1"],
    ports: [{ name: "http", protocol: "TCP", port: 80, targetPort: 8080, endpoints: [] }],
  }),
  service("many", {
    headless: true,
    ports: [{ name: "http", protocol: "TCP", port: 80, targetPort: 80, endpoints: members }],
  }),
];

const snapshot: Snapshot = {
  domain: "cluster.local",
  nodes: new Map(),
  pods: new Map(),
  podsByAddress: new Map(),
  policies: new Map(),
  namespaces: new Set(["default"]),
  services: new Map(services.map((one) => [`default/${one.name}`, one])),
  routes: { hosts: new Map(), certificates: [] },
  publicNames: new Map([["api.hadywafa.com", { addresses: ["203.0.113.128"] }]]),
  findings: [],
};

let dnsPod: NetNs;
let client: NetNs;
let dns: ClusterDns;
let upstream: DnsServer;
const cleanUp: (() => void)[] = [];

/** A pod of the DNS server and one of a client on one link; the upstream resolver is on the host's loopback. */
before(async () => {
  await ipBatch(homeNetNs(), ["link set lo up"]);
  dnsPod = createNetNs("pod kube-system/kube-dns");
  client = createNetNs("pod default/client");
  await ipBatch(dnsPod, [
    "link set lo up",
    `link add eth0 type veth peer name eth0 netns ${client.path}`,
    `address add ${server}/24 dev eth0`,
    "link set eth0 up",
  ]);
  await ipBatch(client, ["link set lo up", "address add 10.96.0.20/24 dev eth0", "link set eth0 up"]);
  upstream = await startDnsServer({
    udp: { address: "127.0.0.1", port: 0 },
    log: silentLog,
    handler: ({ question }) => {
      const answers: ResourceRecord[] = [{ name: question.name, ttl: 60, type: "A", address: "192.0.2.1" }];
      return { rcode: 0, recursionAvailable: true, answers: question.type === "A" ? answers : [] };
    },
  });
  const hostSocket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(hostSocket, "listening");
  const { carry } = createSharedSocketCarrier({
    socket: hostSocket,
    tcp: socketCarrier({ timeoutMs: 1000 }),
  });
  const servers = [{ address: "127.0.0.1", port: upstream.udpPort ?? 0 }];
  const upstreams = createUpstreams({ servers, carry, log: silentLog });
  cleanUp.push(() => hostSocket.close());
  dns = startDns({
    source: { current: () => snapshot, subscribe: () => () => undefined },
    listen: { udp: { fd: udpSocket(dnsPod, server, 53) }, tcp: { fd: tcpListener(dnsPod, server, 53) } },
    forward: upstreams.forward,
    log: silentLog,
  });
  await dns.ready;
});

after(async () => {
  await dns.close();
  await upstream.close();
  for (const undo of cleanUp) undo();
  closeNetNs(dnsPod);
  closeNetNs(client);
});

const sockets = socketsFrom({
  udpDescriptor: () => udpSocket(client, "0.0.0.0", 0),
  tcpConnect: (address, port) => tcpConnect(client, address, port),
});

async function ask(name: string, type = "A"): ReturnType<typeof resolveName> {
  const nameservers = [{ address: server, port: 53 }];
  return resolveName(
    { ...podSearch("cluster.local", "default"), nameservers, sockets, timeoutMs: 1000 },
    name,
    type,
  );
}

test("a pod resolves a Service by its short name, over UDP", async () => {
  const { name, records, tried } = await ask("api-service");
  assert.equal(name, "api-service.default.svc.cluster.local.");
  assert.deepEqual(records.map(formatRecord), ["api-service.default.svc.cluster.local. 5 IN A 10.96.1.1"]);
  assert.deepEqual(
    tried.map((attempt) => attempt.transport),
    ["udp"],
  );
});

test("an answer with 120 addresses comes whole, over TCP", async () => {
  const { records, tried } = await ask("many");
  assert.equal(records.length, 120);
  assert.deepEqual(
    tried.map((attempt) => attempt.transport),
    ["tcp"],
  );
});

test("other names are forwarded through the host's socket, Ingress hosts are not", async () => {
  assert.deepEqual((await ask("www.example.com.")).records.map(formatRecord), [
    "www.example.com. 60 IN A 192.0.2.1",
  ]);
  assert.deepEqual((await ask("api.hadywafa.com.")).records.map(formatRecord), [
    "api.hadywafa.com. 5 IN A 203.0.113.128",
  ]);
});

test("what is observed for a flow names every query and record", async () => {
  const observed = await observe("api-service", pod, { domain: "cluster.local", server, sockets });
  assert.deepEqual(observed.addresses, ["10.96.1.1"]);
  assert.deepEqual(observed.evidence, [
    "api-service.default.svc.cluster.local. A answered (10.96.0.10:53)",
    "api-service.default.svc.cluster.local. 5 IN A 10.96.1.1",
  ]);
});

test("the system's own resolver finds the same addresses with the same search list", async () => {
  const directory = mkdtempSync(join(tmpdir(), "inroad-dns-"));
  cleanUp.push(() => rmSync(directory, { recursive: true, force: true }));
  const { search, ndots } = podSearch("cluster.local", "default");
  const resolvConf = join(directory, "resolv.conf");
  const nsswitch = join(directory, "nsswitch.conf");
  writeFileSync(
    resolvConf,
    `nameserver ${server}\nsearch ${search.join(" ")}\noptions ndots:${ndots} timeout:1\n`,
  );
  writeFileSync(nsswitch, "hosts: dns\n");
  const script =
    'mount --bind "$1" "$(readlink -f /etc/resolv.conf)" && mount --bind "$2" "$(readlink -f /etc/nsswitch.conf)" && exec getent ahostsv4 "$3"';
  for (const name of [
    "api-service",
    "api-service.default",
    "www.example.com",
    "api.hadywafa.com",
    "none.default.svc.cluster.local.",
  ]) {
    const ours = (await ask(name)).records.map((record) => ("address" in record ? record.address : ""));
    const result = await run(client, "unshare", [
      "--mount",
      "sh",
      "-c",
      script,
      "sh",
      resolvConf,
      nsswitch,
      name,
    ]);
    const theirs = result.stdout
      .split("\n")
      .filter((line) => line.includes("STREAM"))
      .map((line) => line.split(" ")[0]);
    assert.deepEqual(theirs, ours, `${name}: ${result.stderr}`);
  }
});

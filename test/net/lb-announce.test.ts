/**
 * `inroad load-balancer` on two nodes of a cluster that is not ours, and a client that knows nothing but its own network:
 *
 *     client 172.30.0.50 --- lan (bridge, API server 172.30.0.1) --- node-a 172.30.0.11, node-b 172.30.0.12
 */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  closeNetNs,
  createNetNs,
  ipBatch,
  run,
  setSysctls,
  spawnIn,
  tcpConnect,
  tcpListener,
  type NetNs,
} from "#kernel";
import { createClient, createSnapshotSource } from "#client";
import { silentLog } from "#lib/log";
import { startProxy } from "#path/proxy";
import { createTestApi, type TestApi } from "../../src/api/testing.ts";
import { createAuthority, kubeconfigText } from "../../src/cli/identity.ts";
import { serveApi } from "../../src/cluster/api-listener.ts";
import { addresses } from "../../src/cluster/config.ts";
import { eventually } from "../support/live.ts";

/** Which node an address falls to is a matter of hashes. The last one is of a Service with policy Cluster. */
const VIPS = {
  "node-a": ["172.30.0.200", "fd00:172:30::201", "172.30.0.201"],
  "node-b": ["172.30.0.203", "fd00:172:30::200"],
} as const;
const [, , CLUSTER_VIP] = VIPS["node-a"];
const allVips: readonly string[] = Object.values(VIPS).flat();
/** The only pod of the Service with policy Cluster is at neither node. */
const FAR_POD = "10.244.9.2";

const nodes = {
  "node-a": { number: 11, mac: "02:00:00:00:00:0a", pods: ["10.244.0.2", "fd00:10:244::2"] },
  "node-b": { number: 12, mac: "02:00:00:00:00:0b", pods: ["10.244.1.2", "fd00:10:244:1::2"] },
} as const;
type NodeName = keyof typeof nodes;
const names: readonly NodeName[] = ["node-a", "node-b"];

const undo: (() => unknown)[] = [];
const places = new Map<string, NetNs>();
const announcers = new Map<NodeName, { child: ChildProcess; said: () => string }>();
let api: TestApi;
let kubeconfig: string;

function place(name: string): NetNs {
  const ns = places.get(name);
  assert.ok(ns, name);
  return ns;
}

/** A namespace whose eth0 hangs on the bridge. */
async function attach(name: string, number: number, mac: string): Promise<NetNs> {
  const ns = createNetNs(name);
  places.set(name, ns);
  undo.push(() => closeNetNs(ns));
  setSysctls(ns, { "net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1" });
  await ipBatch(ns, [
    "link set lo up",
    `link add eth0 address ${mac} type veth peer name ${name} netns ${place("lan").path}`,
    `address add 172.30.0.${number}/24 dev eth0`,
    `address add fd00:172:30::${number}/64 dev eth0 nodad`,
    "link set eth0 up",
  ]);
  await ipBatch(place("lan"), [`link set ${name} master lan up`]);
  return ns;
}

/** Says its name to whoever connects. The last packets of a connection may be lost with a link: nobody waits for them. */
function servePod(ns: NetNs, address: string, name: string): void {
  const server = createServer((socket) =>
    socket
      .on("error", () => undefined)
      .end(name)
      .unref(),
  );
  server.listen({ fd: tcpListener(ns, address, 8080) });
  undo.push(() => server.close());
}

async function create(path: string, object: object): Promise<void> {
  const { status, text } = await api.call("POST", path, object);
  assert.equal(status, 201, text);
}

async function createService(
  name: string,
  policy: "Cluster" | "Local",
  vips: readonly string[],
): Promise<void> {
  await create("/api/v1/namespaces/default/services", {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name },
    spec: {
      type: "LoadBalancer",
      externalTrafficPolicy: policy,
      ipFamilyPolicy: policy === "Local" ? "RequireDualStack" : "SingleStack",
      ports: [{ port: 80, targetPort: 8080 }],
    },
  });
  const path = `/api/v1/namespaces/default/services/${name}/status`;
  const status = { loadBalancer: { ingress: vips.map((ip) => ({ ip, ipMode: "VIP" })) } };
  assert.equal((await api.call("PATCH", path, { status })).status, 200);
}

async function createSlice(service: string, addressType: string, pods: readonly object[]): Promise<void> {
  await create("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: `${service}-${addressType.toLowerCase()}`,
      labels: { "kubernetes.io/service-name": service },
    },
    addressType,
    ports: [{ name: "", port: 8080, protocol: "TCP" }],
    endpoints: pods.map((pod) => ({ ...pod, conditions: { ready: true } })),
  });
}

async function createNode(name: NodeName): Promise<void> {
  const { number } = nodes[name];
  const internal = [`172.30.0.${number}`, `fd00:172:30::${number}`];
  await create("/api/v1/nodes", {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name },
    spec: { podCIDR: `10.244.${number - 11}.0/24` },
    status: {
      addresses: internal.map((address) => ({ type: "InternalIP", address })),
      conditions: [{ type: "Ready", status: "True" }],
    },
  });
}

/** With the one capability that it needs. */
async function startAnnouncer(name: NodeName): Promise<void> {
  const child = spawnIn(
    place(name),
    "setpriv",
    [
      ...["--bounding-set", "-all,+net_raw", "--inh-caps", "-all,+net_raw"],
      ...[process.execPath, "bin/inroad.js", "load-balancer", "--kubeconfig", kubeconfig],
      ...["--node", name, "--pool", "172.30.0.128/25", "fd00::/8"],
    ],
    { stdio: ["ignore", "inherit", "pipe"] },
  );
  undo.push(() => child.kill("SIGKILL"));
  let said = "";
  announcers.set(name, { child, said: () => said });
  await new Promise<void>((resolve, reject) => {
    child.stderr?.on("data", (bytes) => {
      said += String(bytes);
      if (said.includes("addresses are announced")) resolve();
    });
    child.once("exit", (code) => reject(new Error(`${name} ended with ${code}: ${said}`)));
  });
}

before(async () => {
  const lan = createNetNs("lan");
  places.set("lan", lan);
  undo.push(() => closeNetNs(lan));
  await ipBatch(lan, [
    "link set lo up",
    "link add lan type bridge",
    `address add ${addresses.control}/24 dev lan`,
    "link set lan up",
    `address add ${FAR_POD}/32 dev lo`,
  ]);
  await attach("client", 50, "02:00:00:00:00:50");
  for (const name of names) {
    const { number, mac, pods } = nodes[name];
    const ns = await attach(name, number, mac);
    await ipBatch(ns, [
      `route add ${FAR_POD}/32 via ${addresses.control}`,
      `address add ${pods[0]}/32 dev lo`,
      `address add ${pods[1]}/128 dev lo nodad`,
    ]);
    for (const pod of pods) servePod(ns, pod, name);
  }
  servePod(lan, FAR_POD, "far");

  const { identity, admin } = await createAuthority();
  api = createTestApi({
    serviceCIDRs: ["10.96.0.0/16", "fd00:10:96::/112"],
    authenticate: { tokens: new Map(), clientCA: identity.caCertificate },
  });
  const listener = serveApi(api.server, identity, tcpListener(lan, addresses.control, addresses.apiPort));
  await listener.listening;
  const folder = mkdtempSync(join(tmpdir(), "inroad-announce-"));
  kubeconfig = join(folder, "kubeconfig");
  const text = kubeconfigText("test", addresses.apiPort, identity, admin);
  writeFileSync(kubeconfig, text.replace("127.0.0.1", addresses.control));
  undo.push(
    () => rmSync(folder, { recursive: true }),
    () => api.server.close(),
    () => listener.close(),
  );

  for (const name of names) await createNode(name);
  await createService(
    "web",
    "Local",
    allVips.filter((vip) => vip !== CLUSTER_VIP),
  );
  await createService("api", "Cluster", [CLUSTER_VIP]);
  for (const [index, family] of (["IPv4", "IPv6"] as const).entries()) {
    const pods = names.map((name) => ({ addresses: [nodes[name].pods[index]], nodeName: name }));
    await createSlice("web", family, pods);
  }
  await createSlice("api", "IPv4", [{ addresses: [FAR_POD], nodeName: "far" }]);

  const source = createSnapshotSource(createClient(api.transport), {
    domain: "cluster.local",
    only: ["services", "endpointslices", "nodes"],
  });
  undo.push(() => source.close());
  await source.synced;
  for (const node of names) {
    const proxy = startProxy({ source, node, netns: place(node), mode: "nftables", log: silentLog });
    undo.push(() => proxy.close());
    await proxy.ready;
  }
  await Promise.all(names.map(startAnnouncer));
  await eventually(settled);
});

after(async () => {
  for (const step of undo.reverse()) await step();
});

/** The name that the other end of a new connection says, or why there is none. */
function connect(address: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = tcpConnect(place("client"), address, 80);
    let answer = "";
    socket.setTimeout(100, () => socket.destroy(new Error("silence")));
    socket.on("data", (bytes) => (answer += String(bytes)));
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on("close", () => resolve(answer));
  });
}

/** Whose link-layer address the client has for an address. */
async function neighbour(address: string): Promise<string> {
  const { stdout } = await run(place("client"), "ip", ["neighbour", "show", address]);
  return names.find((name) => stdout.includes(nodes[name].mac)) ?? stdout.trim();
}

/** Each address is answered for by the node that it falls to, and connections arrive. */
async function settled(): Promise<void> {
  for (const name of names) {
    for (const vip of VIPS[name]) {
      const expected = vip === CLUSTER_VIP ? "far" : name;
      assert.deepEqual([vip, await connect(vip), await neighbour(vip)], [vip, expected, name]);
    }
  }
}

/** Since a place in its log, node-a has not announced anything that falls to node-b, not even for a moment. */
function assertNothingTaken(since = 0): void {
  const said = announcers.get("node-a")?.said().slice(since) ?? "";
  for (const vip of VIPS["node-b"]) assert.ok(!said.includes(`announces ${vip}`), said);
}

/** Connects anew again and again; milliseconds until somebody answers. */
async function untilAnswered(address: string, by: string): Promise<number> {
  const began = performance.now();
  while ((await connect(address)) !== by) {
    assert.ok(performance.now() - began < 10_000, `${address} is not answered by ${by} after ten seconds`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return performance.now() - began;
}

test("each address is answered for by one node, others by none, and no node has them on a device", async () => {
  await settled();
  assert.match(await connect("172.30.0.222"), /silence|EHOSTUNREACH/);
  for (const name of names) {
    const { stdout } = await run(place(name), "ip", ["address"]);
    for (const vip of allVips) assert.ok(!stdout.includes(`${vip}/`), `${vip} on ${name}`);
    // Switches that filter multicast must let questions through.
    const { stdout: groups } = await run(place(name), "ip", ["maddress", "show", "dev", "eth0"]);
    assert.ok(groups.includes(name === "node-a" ? "ff02::1:ff00:201" : "ff02::1:ff00:200"), groups);
  }
});

test("a node whose link dies loses its addresses to the other within a second, which keeps its own", async (t) => {
  const before = announcers.get("node-a")?.said().length;
  await ipBatch(place("lan"), ["link set node-a down"]);
  const times = await Promise.all(
    VIPS["node-a"].map((vip) => untilAnswered(vip, vip === CLUSTER_VIP ? "far" : "node-b")),
  );
  t.diagnostic(`connected again after ${times.map((ms) => ms.toFixed(0)).join(", ")} ms`);
  assert.ok(Math.max(...times) < 3000);
  for (const vip of VIPS["node-a"]) assert.equal(await neighbour(vip), "node-b");
  for (const vip of VIPS["node-b"])
    assert.deepEqual([await connect(vip), await neighbour(vip)], ["node-b", "node-b"]);

  await ipBatch(place("lan"), ["link set node-a up"]);
  await eventually(settled);
  assertNothingTaken(before);
});

test("a process that is killed is missed although its node lives", async (t) => {
  announcers.get("node-a")?.child.kill("SIGKILL");
  const began = performance.now();
  await eventually(async () => assert.equal(await neighbour(VIPS["node-a"][0]), "node-b"));
  t.diagnostic(`announced by the other after ${(performance.now() - began).toFixed(0)} ms`);
  for (const vip of VIPS["node-a"]) await untilAnswered(vip, vip === CLUSTER_VIP ? "far" : "node-b");
  await startAnnouncer("node-a");
  await eventually(settled);
  assertNothingTaken();
});

test("SIGTERM hands the addresses over: only a connection that is under way at that moment notices", async () => {
  const announcer = announcers.get("node-b");
  assert.ok(announcer);
  const exit = once(announcer.child, "exit");
  announcer.child.kill("SIGTERM");
  const [vip] = VIPS["node-b"];
  const answers: string[] = [];
  while (answers.at(-1) !== "node-a") {
    await run(place("client"), "ip", ["neighbour", "flush", "to", vip]);
    answers.push(await connect(vip));
    assert.match(answers.at(-1) ?? "", /^(node-[ab]|ECONNRESET)$/, answers.join(" "));
  }
  // One whose first packet went to the old node and whose next one goes to the new one.
  assert.ok(answers.filter((answer) => answer === "ECONNRESET").length <= 1, answers.join(" "));
  assert.deepEqual(await exit, [0, null]);
  for (const each of VIPS["node-b"]) assert.ok((await untilAnswered(each, "node-a")) < 3000);
  await startAnnouncer("node-b");
  await eventually(settled);
});

test("with policy Local an address follows the endpoints", async () => {
  const paths = ["ipv4", "ipv6"].map(
    (family) => `/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/web-${family}`,
  );
  for (const [index, path] of paths.entries()) {
    const endpoints = [{ addresses: [nodes["node-b"].pods[index]], nodeName: "node-b" }];
    assert.equal((await api.call("PATCH", path, { endpoints })).status, 200);
  }
  await eventually(async () => {
    for (const vip of [...VIPS["node-a"].slice(0, 2), ...VIPS["node-b"]])
      assert.deepEqual([await connect(vip), await neighbour(vip)], ["node-b", "node-b"]);
    assert.equal(await neighbour(CLUSTER_VIP), "node-a");
  });
});

test("what a node announces stands in its metrics, at the port where the others ask", async () => {
  const get = async (path: string): Promise<string> => {
    const socket = tcpConnect(place("node-b"), "172.30.0.11", 10_266);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    let answer = "";
    for await (const bytes of socket) answer += String(bytes);
    return answer;
  };
  assert.match(await get("/healthz"), /^HTTP\/1.1 200 /);
  assert.match(await get("/"), /^HTTP\/1.1 404 /);
  const metrics = await get("/metrics");
  assert.match(metrics, /^inroad_layer2_announced\{address="172\.30\.0\.201"\} 1$/m);
  assert.match(metrics, /^inroad_layer2_gratuitous_sent_total\{address="172\.30\.0\.201"\} [1-9]/m);
});

test("a node, device or port that cannot be had is said with what to do", async () => {
  const attempt = (...args: string[]) =>
    run(place("node-a"), process.execPath, [
      "bin/inroad.js",
      "load-balancer",
      "--kubeconfig",
      kubeconfig,
      ...args,
    ]);
  const [node, device, second] = await Promise.all([
    attempt("--node", "elsewhere"),
    attempt("--node", "node-a", "--interface", "eth9", "--peer-port", "10299"),
    attempt("--node", "node-a"),
  ]);
  assert.equal(node.code, 2);
  assert.match(node.stderr, /no routable node elsewhere\n {2}name this node's .* node-a, node-b/);
  assert.equal(device.code, 2);
  assert.match(device.stderr, /there is no network device eth9/);
  assert.equal(second.code, 2);
  assert.match(second.stderr, /cannot listen on TCP 172\.30\.0\.11:10266: .*\n {2}end the one that runs/);
});

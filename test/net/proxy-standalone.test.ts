/** `inroad proxy` on a node of a cluster that is not ours: only an API server and a kubeconfig. */
import { test } from "node:test";
import type { TestContext } from "node:test";
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closeNetNs, createNetNs, ipBatch, nft, run, spawnIn, tcpConnect, tcpListener } from "#kernel";
import type { NetNs } from "#kernel";
import { createTestApi } from "../../src/api/testing.ts";
import { createAuthority, kubeconfigText } from "../../src/cli/identity.ts";
import { serveApi } from "../../src/cluster/api-listener.ts";
import { addresses } from "../../src/cluster/config.ts";
import { eventually } from "../support/live.ts";

const NODE = "172.30.0.11";
const PODS = ["10.244.0.2", "10.244.0.3"] as const;
const CLUSTER_IP = "10.96.0.77";

/** A node with an API server at the control address, two pods' addresses that answer who they are, and a kubeconfig. */
async function cluster(t: TestContext) {
  const node = createNetNs("node");
  const folder = mkdtempSync(join(tmpdir(), "inroad-proxy-"));
  const all = [`${NODE}/32`, `${addresses.control}/32`, ...PODS.map((address) => `${address}/32`)];
  await ipBatch(node, [
    "link set lo up",
    ...all.map((address) => `address add ${address} dev lo`),
    // Packets to ClusterIPs must have a way to leave by; the rules turn them round before.
    "route add 10.96.0.0/16 dev lo",
  ]);
  const servers = PODS.map((address) =>
    createServer((socket) => socket.on("error", () => undefined).end(address)).listen({
      fd: tcpListener(node, address, 8080),
    }),
  );
  const { identity, admin } = await createAuthority();
  const api = createTestApi({ authenticate: { tokens: new Map(), clientCA: identity.caCertificate } });
  const listener = serveApi(api.server, identity, tcpListener(node, addresses.control, addresses.apiPort));
  await listener.listening;
  const kubeconfig = join(folder, "kubeconfig");
  const text = kubeconfigText("test", addresses.apiPort, identity, admin);
  writeFileSync(kubeconfig, text.replace("127.0.0.1", addresses.control));
  t.after(() => {
    for (const server of servers) server.close();
    listener.close();
    api.server.close();
    rmSync(folder, { recursive: true });
    closeNetNs(node);
  });
  await create(api, "/api/v1/nodes", nodeObject);
  await create(api, "/api/v1/namespaces/default/services", service);
  await create(api, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slice(PODS));
  return { node, api, kubeconfig };
}

type Api = ReturnType<typeof createTestApi>;

async function create(api: Api, path: string, object: object): Promise<void> {
  const { status, text } = await api.call("POST", path, object);
  assert.equal(status, 201, text);
}

const nodeObject = {
  apiVersion: "v1",
  kind: "Node",
  metadata: { name: "worker-1" },
  spec: { podCIDR: "10.244.0.0/24" },
  status: { addresses: [{ type: "InternalIP", address: NODE }] },
};

const service = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "api" },
  spec: { clusterIP: CLUSTER_IP, ports: [{ port: 80, targetPort: 8080 }] },
};

function slice(pods: readonly string[]): object {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "api-1", labels: { "kubernetes.io/service-name": "api" } },
    addressType: "IPv4",
    ports: [{ name: "", port: 8080, protocol: "TCP" }],
    endpoints: pods.map((address) => ({ addresses: [address], conditions: { ready: true } })),
  };
}

/** Starts `inroad proxy` and waits until it says that its rules are in force. */
async function start(t: TestContext, node: NetNs, ...args: readonly string[]) {
  const child = spawnIn(node, process.execPath, ["bin/inroad.js", "proxy", ...args], {
    stdio: ["ignore", "inherit", "pipe"],
  });
  t.after(() => child.kill("SIGKILL"));
  let said = "";
  const ready = new Promise<void>((resolve, reject) => {
    child.stderr?.on("data", (bytes) => {
      said += String(bytes);
      if (said.includes("rules are in force")) resolve();
    });
    child.once("exit", (code) => reject(new Error(`proxy ended with ${code}: ${said}`)));
  });
  await ready;
  return child;
}

/** What the connection read until it ended, or the error's code. */
function ask(ns: NetNs, address: string, port: number, send = ""): Promise<string> {
  return new Promise((resolve) => {
    const socket = tcpConnect(ns, address, port);
    let answer = "";
    socket.setTimeout(3000, () => socket.destroy());
    socket.on("connect", () => socket.write(send));
    socket.on("data", (bytes) => (answer += String(bytes)));
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
    socket.on("close", () => resolve(answer));
  });
}

async function askMany(ns: NetNs, count: number): Promise<string[]> {
  const names: string[] = [];
  for (let i = 0; i < count; i++) names.push(await ask(ns, CLUSTER_IP, 80));
  return names;
}

const http = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;

for (const mode of ["nftables", "iptables"] as const) {
  test(`${mode}: rules follow the API server, outlive the proxy, and go with --cleanup`, async (t) => {
    const { node, api, kubeconfig } = await cluster(t);
    const args = ["--kubeconfig", kubeconfig, "--node", "worker-1", "--proxy-mode", mode];
    const child = await start(t, node, ...args);
    const answers = await askMany(node, 6);
    assert.deepEqual(new Set(answers), new Set(PODS));
    assert.ok(
      answers.every((name, i) => i === 0 || name !== answers[i - 1]),
      answers.join(" "),
    );

    const path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/api-1";
    assert.equal((await api.call("PATCH", path, { endpoints: [{ addresses: [PODS[1]] }] })).status, 200);
    await eventually(async () => {
      const metrics = await ask(node, "127.0.0.1", 10249, http("/metrics"));
      assert.match(metrics, /^kubeproxy_sync_proxy_rules_endpoint_changes_total 2\r?$/m);
    });
    assert.deepEqual(await askMany(node, 2), [PODS[1], PODS[1]]);
    assert.match(await ask(node, "127.0.0.1", 10249, http("/proxyMode")), new RegExp(`\r\n${mode}\r\n`));
    assert.match(await ask(node, NODE, 10256, http("/healthz")), /^HTTP\/1.1 200 /);

    child.kill("SIGTERM");
    assert.deepEqual(await once(child, "exit"), [0, null]);
    assert.deepEqual(await askMany(node, 2), [PODS[1], PODS[1]], "the rules stay");

    await nft(node, "add table ip foreign\nadd chain ip foreign c\n");
    const cleaned = await run(node, process.execPath, ["bin/inroad.js", "proxy", "--cleanup"]);
    assert.equal(cleaned.code, 0, cleaned.stderr);
    assert.notEqual(await ask(node, CLUSTER_IP, 80), PODS[1]);
    const left = (await run(node, "nft", ["list", "ruleset"])).stdout;
    assert.doesNotMatch(left, /inroad/i);
    assert.match(left, /table ip foreign/);
  });
}

test("a node that is about to go is not eligible for load balancers, but alive", async (t) => {
  const { node, api, kubeconfig } = await cluster(t);
  await start(t, node, "--kubeconfig", kubeconfig, "--node", "worker-1");
  const taint = { key: "ToBeDeletedByClusterAutoscaler", effect: "NoSchedule" };
  assert.equal(
    (await api.call("PATCH", "/api/v1/nodes/worker-1", { spec: { taints: [taint] } })).status,
    200,
  );
  await eventually(async () => {
    const health = await ask(node, NODE, 10256, http("/healthz"));
    assert.match(health, /^HTTP\/1.1 503 .*"nodeEligible":false/s);
  });
  assert.match(await ask(node, NODE, 10256, http("/livez")), /^HTTP\/1.1 200 /);
});

test("no kubeconfig, or one that leads nowhere, is said with what to do", async (t) => {
  const { node } = await cluster(t);
  const none = await run(node, process.execPath, ["bin/inroad.js", "proxy"]);
  assert.equal(none.code, 2);
  assert.match(none.stderr, /needs the way to an API server\n {2}name a kubeconfig file/);
  const missing = await run(node, process.execPath, [
    "bin/inroad.js",
    "proxy",
    "--kubeconfig",
    "/nonexistent",
  ]);
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /cannot read \/nonexistent/);
});

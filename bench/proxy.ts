/**
 * `npm run bench:proxy [-- --out FILE] [mode ...] [services ...]`: Service rules of one node at 1,000 to 30,000 Services with three endpoints each.
 *
 * cold start: from the snapshot to rules in force; update: one endpoint replaced by another, from the changed EndpointSlice object
 * (compilation of the model included) to rules in force; longest transaction: the longest call of nft or iptables-restore, which is
 * as long as the kernel's rules can be locked; connect: a TCP connection through the last Service; memory: of this process, with
 * objects and model.
 * The peer is kube-proxy's shape of rules (a chain and an anonymous map per Service, `numgen random`), given to nft in the same run:
 * what the kernel and nft alone take for it. Answers are verified before anything is counted.
 *
 * Each row is measured in a process and a network namespace of its own.
 */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { cpus, release } from "node:os";
import { parseArgs } from "node:util";
import {
  closeNetNs,
  createNetNs,
  ipBatch,
  iptablesRestore,
  nft,
  run,
  setSysctls,
  startNftThread,
  tcpConnect,
  tcpListener,
} from "#kernel";
import type { NetNs } from "#kernel";
import type { KubeObject } from "#kube";
import { silentLog } from "#lib/log";
import { compile } from "#model";
import type { Snapshot } from "#model";
import { startProxy } from "#path/proxy";
import type { KernelMode } from "#path/proxy";
import { settableSource } from "../src/path/4-proxy/testing.ts";

const UPDATES = 20;
const CONNECTIONS = 500;
const ENDPOINTS = 3;
const REAL = "10.200.0.2";

const address = (network: number, index: number): string =>
  `10.${network + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
const clusterIP = (index: number): string => address(96, index + 256);

/** The bench's own node has one of the pods; all others are elsewhere, as most are in a large cluster. */
const nodes: readonly KubeObject[] = (
  [
    ["node-a", "10.200.0.0/24", "172.30.0.11"],
    ["node-b", "10.201.0.0/16", "172.30.0.12"],
  ] as const
).map(([name, podCIDR, InternalIP]) => ({
  apiVersion: "v1",
  kind: "Node",
  metadata: { name },
  spec: { podCIDR },
  status: {
    addresses: [{ type: "InternalIP", address: InternalIP }],
    conditions: [{ type: "Ready", status: "True" }],
  },
}));

function serviceObject(index: number): KubeObject {
  const ports = [{ name: "http", protocol: "TCP", port: 80, targetPort: 8080 }];
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace: "default", name: `s${index}` },
    spec: { type: "ClusterIP", clusterIP: clusterIP(index), clusterIPs: [clusterIP(index)], ports },
  };
}

function sliceObject(index: number, addresses: readonly string[]): KubeObject {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      namespace: "default",
      name: `s${index}-1`,
      labels: { "kubernetes.io/service-name": `s${index}` },
    },
    addressType: "IPv4",
    ports: [{ name: "http", protocol: "TCP", port: 8080 }],
    endpoints: addresses.map((one) => ({ addresses: [one], conditions: { ready: true } })),
  };
}

const fakeEndpoints = (index: number): string[] =>
  Array.from({ length: ENDPOINTS }, (_, i) => address(201, index * ENDPOINTS + i));

const nothing: readonly KubeObject[] = [];

function clusterOf(services: readonly KubeObject[], endpointSlices: readonly KubeObject[]): Snapshot {
  const others = {
    pods: nothing,
    ingresses: nothing,
    ingressClasses: nothing,
    secrets: nothing,
    namespaces: nothing,
  };
  return compile({ nodes, services, endpointSlices, ...others }, { domain: "cluster.local" });
}

interface Row {
  readonly mode: string;
  readonly services: number;
  readonly coldStartMs: number;
  readonly updateP50Ms: number;
  readonly updateMaxMs: number;
  readonly longestTransactionMs: number;
  readonly connectP50Us?: number;
  readonly connectP99Us?: number;
  readonly rssMiB?: number;
}

/** A namespace in which one address answers, and what is sent to Service addresses meets the rules. */
async function makeNode(): Promise<{ readonly ns: NetNs; close(): void }> {
  const ns = createNetNs("bench");
  await ipBatch(ns, [
    "link set lo up",
    `address add ${REAL}/32 dev lo`,
    "address add 172.30.0.11/32 dev lo",
    "route add 10.96.0.0/11 dev lo",
  ]);
  const server = createServer((socket) => socket.on("error", () => undefined).end("here")).listen({
    fd: tcpListener(ns, REAL, 8080),
  });
  return {
    ns,
    close: () => {
      server.close();
      closeNetNs(ns);
    },
  };
}

/** Microseconds from the call to the established connection. */
async function connect(ns: NetNs, to: string): Promise<number> {
  const began = performance.now();
  const socket = tcpConnect(ns, to, 80);
  await once(socket, "connect");
  const took = (performance.now() - began) * 1000;
  const [answer]: unknown[] = await once(socket, "data");
  if (String(answer) !== "here") throw new Error(`${to} answered ${String(answer)}`);
  socket.destroy();
  return took;
}

async function measureProxy(mode: KernelMode, count: number): Promise<Row> {
  const { ns, close } = await makeNode();
  const services = Array.from({ length: count }, (_, index) => serviceObject(index));
  let slices = services.map((_, index) =>
    sliceObject(index, index === count - 1 ? [REAL] : fakeEndpoints(index)),
  );
  let longest = 0;
  const timed = async <T>(work: Promise<T>): Promise<T> => {
    const began = performance.now();
    const result = await work;
    longest = Math.max(longest, performance.now() - began);
    return result;
  };
  const source = settableSource(clusterOf(services, slices));
  const began = performance.now();
  const proxy = startProxy({
    source,
    node: "node-a",
    netns: ns,
    mode,
    log: silentLog,
    kernel: {
      nft: (script, options) => timed(nft(ns, script, options)),
      iptablesRestore: (text) => timed(iptablesRestore(ns, text)),
      run: (command, args, input) => timed(run(ns, command, args, input)),
      setSysctls: (values) => setSysctls(ns, values),
    },
  });
  await proxy.ready;
  const coldStartMs = performance.now() - began;
  const longestTransactionMs = longest;
  const updates: number[] = [];
  for (let i = 0; i < UPDATES; i++) {
    const which = (i * 7919) % (count - 1);
    const changed = sliceObject(which, [address(208, i), ...fakeEndpoints(which).slice(1)]);
    const start = performance.now();
    slices = slices.with(which, changed);
    const snapshot = clusterOf(services, slices);
    source.set(snapshot);
    await proxy.programmed(snapshot);
    updates.push(performance.now() - start);
  }
  const connects: number[] = [];
  for (let i = 0; i < CONNECTIONS; i++) connects.push(await connect(ns, clusterIP(count - 1)));
  const rssMiB = process.memoryUsage.rss() / 2 ** 20;
  await proxy.close({ keepRules: true });
  close();
  return {
    mode,
    services: count,
    coldStartMs,
    updateP50Ms: quantile(updates, 0.5),
    updateMaxMs: quantile(updates, 1),
    longestTransactionMs,
    connectP50Us: quantile(connects, 0.5),
    connectP99Us: quantile(connects, 0.99),
    rssMiB,
  };
}

/** kube-proxy's shape, by nft alone, in one transaction, and one Service's rule rewritten. */
async function measureUpstreamShape(count: number): Promise<Row> {
  const { ns, close } = await makeNode();
  const chain = (index: number, addresses: readonly string[]): string[] => {
    const map = addresses.map((one, slot) => `${slot} : ${one} . 8080`).join(", ");
    return [
      `add chain ip peer svc-${index}`,
      `flush chain ip peer svc-${index}`,
      `add rule ip peer svc-${index} meta l4proto tcp dnat ip addr . port to numgen random mod ${addresses.length} map { ${map} }`,
    ];
  };
  const script = [
    "add table ip peer",
    "add map ip peer service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }",
    "add chain ip peer services",
    "add rule ip peer services ip daddr . meta l4proto . th dport vmap @service-ips",
    "add chain ip peer output { type nat hook output priority -100; }",
    "add rule ip peer output jump services",
    ...Array.from({ length: count }, (_, i) => chain(i, i === count - 1 ? [REAL] : fakeEndpoints(i))).flat(),
    ...Array.from(
      { length: count },
      (_, i) => `add element ip peer service-ips { ${clusterIP(i)} . tcp . 80 : goto svc-${i} }`,
    ),
    "",
  ].join("\n");
  const time = async (text: string): Promise<number> => {
    const began = performance.now();
    await nft(ns, text, { large: true });
    return performance.now() - began;
  };
  const coldStartMs = await time(script);
  const updates: number[] = [];
  for (let i = 0; i < UPDATES; i++) {
    const which = (i * 7919) % (count - 1);
    updates.push(
      await time(`${chain(which, [address(208, i), ...fakeEndpoints(which).slice(1)]).join("\n")}\n`),
    );
  }
  const connects: number[] = [];
  for (let i = 0; i < CONNECTIONS; i++) connects.push(await connect(ns, clusterIP(count - 1)));
  close();
  return {
    mode: "kube-proxy's shape by nft alone",
    services: count,
    coldStartMs,
    updateP50Ms: quantile(updates, 0.5),
    updateMaxMs: quantile(updates, 1),
    longestTransactionMs: coldStartMs,
    connectP50Us: quantile(connects, 0.5),
    connectP99Us: quantile(connects, 0.99),
  };
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

const modes = ["nftables", "iptables"] as const;
const peer = "peer";

async function measureRow(mode: string, count: number): Promise<Row> {
  const known = modes.find((one) => one === mode);
  return known === undefined ? measureUpstreamShape(count) : measureProxy(known, count);
}

/** Runs a row in namespaces of its own; the row is the last line that it prints. */
function rowInChild(mode: string, count: number): Row {
  const user = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  const self = [process.execPath, ...process.execArgv, import.meta.filename, "--row", mode, String(count)];
  const child = spawnSync("unshare", [...user, "--net", ...self], { encoding: "utf8", maxBuffer: 1 << 26 });
  if (child.status !== 0) throw new Error(`${mode} ${count}: ${child.stderr}`);
  return JSON.parse(child.stdout.trimEnd().split("\n").at(-1) ?? "");
}

function record(rows: readonly Row[], file: string | undefined): void {
  const rounded = rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([key, value]) => [
        key,
        typeof value === "number" ? Math.round(value * 10) / 10 : value,
      ]),
    ),
  );
  console.table(rounded);
  const result = {
    what: "Service rules of one node, three endpoints per Service; see bench/proxy.ts",
    rows: rounded,
    machine: `${cpus().length} x ${cpus()[0]?.model}, Linux ${release()}`,
    node: process.versions.node,
    nft: spawnSync("nft", ["--version"], { encoding: "utf8" }).stdout.trim(),
    user: process.getuid?.() === 0 ? "root" : "rootless",
    commit: spawnSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).stdout.trim(),
    date: new Date().toISOString(),
  };
  mkdirSync("bench/results", { recursive: true });
  writeFileSync(file ?? `bench/results/proxy-${result.user}.json`, `${JSON.stringify(result, null, 2)}\n`);
}

const { values: options, positionals: words } = parseArgs({
  options: { row: { type: "boolean", default: false }, out: { type: "string" } },
  allowPositionals: true,
});
if (options.row) {
  startNftThread();
  console.log(JSON.stringify(await measureRow(words[0] ?? "", Number(words[1]))));
  process.exit(0);
}
const counts = words.filter((word) => /^\d+$/.test(word)).map(Number);
const wanted = words.filter((word) => !/^\d+$/.test(word));
const rows: Row[] = [];
for (const mode of wanted.length === 0 ? [...modes, peer] : wanted) {
  for (const count of counts.length === 0 ? [1000, 5000, 10_000, 30_000] : counts) {
    const row = rowInChild(mode, count);
    console.log(JSON.stringify(row));
    rows.push(row);
  }
}
record(rows, options.out);

/**
 * A node between a client outside and four pods, with Service rules of any mode, in namespaces of its own:
 *
 *     client 203.0.113.10 - node-a 172.30.0.11 - pod-1, pod-2, pod-3, pod-4
 *
 * Two of the pods are said to be on node-b; node-a reaches them all the same. Everybody has an IPv6 address, too, and
 * the client a second address of each family ("stranger").
 */
import type { TestContext } from "node:test";
import assert from "node:assert/strict";
import dgram from "node:dgram";
import { createServer } from "node:net";
import { closeNetNs, createNetNs, ipBatch, setSysctls, tcpConnect, tcpListener, udpSocket } from "#kernel";
import type { NetNs } from "#kernel";
import { familyOf } from "#lib/ip";
import { silentLog } from "#lib/log";
import { startProxy } from "#path/proxy";
import type { KernelProxyOptions, Proxy } from "#path/proxy";
import { ADDRESSES, EXTERNAL_IP, VIP, VIP6 } from "../../src/path/4-proxy/contract.ts";
import type { PodName, Who } from "../../src/path/4-proxy/contract.ts";
import { settableSource, testSnapshot } from "../../src/path/4-proxy/testing.ts";
import type { SettableSource, TestService } from "../../src/path/4-proxy/testing.ts";

/** How a mode is started; every suite runs in each. */
export const labModes = {
  nftables: { mode: "nftables" },
  "iptables-nft": { mode: "iptables", iptables: "nft" },
  "iptables-legacy": { mode: "iptables", iptables: "legacy" },
  ipvs: { mode: "ipvs" },
} as const satisfies Readonly<Record<string, Pick<KernelProxyOptions, "mode" | "iptables">>>;

export type LabMode = keyof typeof labModes;
/** IPVS runs where the kernel has it: in the virtual machine, which asks for it and for nothing else. */
const asked = process.env["INROAD_TEST_PROXY_MODES"]?.split(",") ?? [
  "nftables",
  "iptables-nft",
  "iptables-legacy",
];
export const everyMode = (Object.keys(labModes) as readonly LabMode[]).filter((mode) => asked.includes(mode));

export const GATEWAY = "10.244.0.1";
const GATEWAY6 = "fd00:10:244::1";
const podNames: readonly PodName[] = ["pod-1", "pod-2", "pod-3", "pod-4"];

export interface Lab {
  readonly client: NetNs;
  readonly node: NetNs;
  readonly source: SettableSource;
  readonly proxy: Proxy;
  /** What to do at the end of the test, last first. */
  readonly undo: (() => unknown)[];
  /** The namespace that somebody's packets come from. */
  placeOf(who: Who): NetNs;
  /** Puts these Services in force. */
  set(...services: readonly TestService[]): Promise<void>;
  /** Another proxy for the same node. */
  startProxy(...services: readonly TestService[]): Proxy;
}

export interface LabOptions extends Partial<KernelProxyOptions> {
  /** Runs before the proxy starts. */
  readonly onNode?: (node: NetNs) => Promise<void>;
}

export async function lab(
  t: TestContext,
  mode: LabMode,
  services: readonly TestService[],
  { onNode, ...more }: LabOptions = {},
): Promise<Lab> {
  const { client, node, undo, placeOf } = await network(t);
  await onNode?.(node);
  const source = settableSource(testSnapshot(...services));
  const start = (from: SettableSource): Proxy => {
    const common = { source: from, node: "node-a", netns: node, log: silentLog };
    const proxy = startProxy({ ...common, ...labModes[mode], ...more });
    undo.push(() => proxy.close());
    return proxy;
  };
  const proxy = start(source);
  await withinSeconds(20, proxy.ready, "the first rules");
  return {
    client,
    node,
    undo,
    source,
    proxy,
    placeOf,
    set: (...changed) => {
      const snapshot = testSnapshot(...changed);
      source.set(snapshot);
      return proxy.programmed(snapshot);
    },
    startProxy: (...others) => start(settableSource(testSnapshot(...others))),
  };
}

/** What never comes fails by its name, instead of using up the time of the whole run. */
export async function withinSeconds(seconds: number, promise: Promise<unknown>, what: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${seconds} s`)), seconds * 1000);
  });
  await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export type Network = Pick<Lab, "client" | "node" | "undo" | "placeOf">;

/** The namespaces without any rules. */
export async function network(t: TestContext): Promise<Network> {
  // The test runner calls its own `after` functions in the order of their registration; here the last comes first.
  const undo: (() => unknown)[] = [];
  t.after(async () => {
    for (const step of undo.reverse()) await step();
  });
  const namespace = (name: string): NetNs => {
    const ns = createNetNs(name);
    undo.push(() => closeNetNs(ns));
    // Addresses are usable at once: nobody else could have them.
    setSysctls(ns, { "net/ipv6/conf/all/accept_dad": "0", "net/ipv6/conf/default/accept_dad": "0" });
    return ns;
  };
  const client = namespace("client");
  const node = namespace("node-a");
  const pods = new Map<Who, NetNs>(podNames.map((name) => [name, namespace(name)]));
  await connectClient(client, node);
  setSysctls(node, { "net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1" });
  for (const [name, ns] of pods) {
    await connectPod(node, ns, ADDRESSES[name]);
    serveNames(undo, ns);
  }
  const placeOf = (who: Who): NetNs => (who === "node" ? node : (pods.get(who) ?? client));
  return { client, node, undo, placeOf };
}

async function connectClient(client: NetNs, node: NetNs): Promise<void> {
  const outside = [ADDRESSES.client, ADDRESSES.stranger];
  const { IPv4, IPv6 } = ADDRESSES.node;
  await ipBatch(node, [
    "link set lo up",
    `link add out type veth peer name eth0 netns ${client.path}`,
    `address add ${IPv4}/24 dev out`,
    `address add ${IPv6}/64 dev out nodad`,
    "link set out up",
    ...outside.map((one) => `route add ${one.IPv4} dev out`),
    ...outside.map((one) => `route add ${one.IPv6} dev out`),
    `route add default via ${ADDRESSES.client.IPv4} dev out onlink`,
    `route add default via ${ADDRESSES.client.IPv6} dev out onlink`,
  ]);
  await ipBatch(client, [
    "link set lo up",
    ...outside.map((one) => `address add ${one.IPv4}/32 dev eth0`),
    ...outside.map((one) => `address add ${one.IPv6}/128 dev eth0 nodad`),
    "link set eth0 up",
    "route add 172.30.0.0/24 dev eth0",
    "route add fd00:172:30::/64 dev eth0",
    ...["10.0.0.0/8", VIP, EXTERNAL_IP].map((to) => `route add ${to} via ${IPv4}`),
    ...["fd00:10::/32", VIP6].map((to) => `route add ${to} via ${IPv6}`),
  ]);
}

async function connectPod(node: NetNs, ns: NetNs, address: (typeof ADDRESSES)[Who]): Promise<void> {
  await ipBatch(node, [
    `link add ${ns.name} type veth peer name eth0 netns ${ns.path}`,
    `address add ${GATEWAY}/32 dev ${ns.name}`,
    `address add ${GATEWAY6}/128 dev ${ns.name} nodad`,
    `link set ${ns.name} up`,
    `route add ${address.IPv4} dev ${ns.name}`,
    `route add ${address.IPv6} dev ${ns.name}`,
  ]);
  await ipBatch(ns, [
    "link set lo up",
    `address add ${address.IPv4}/32 dev eth0`,
    `address add ${address.IPv6}/128 dev eth0 nodad`,
    "link set eth0 up",
    `route add ${GATEWAY} dev eth0`,
    `route add default via ${GATEWAY}`,
    `route add ${GATEWAY6} dev eth0`,
    `route add default via ${GATEWAY6} dev eth0`,
  ]);
}

/** Every TCP connection and datagram is answered with the pod's name and the peer's address. */
function serveNames(undo: (() => unknown)[], ns: NetNs): void {
  for (const any of ["0.0.0.0", "::"]) {
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.end(`${ns.name} ${socket.remoteAddress}`);
    });
    server.listen({ fd: tcpListener(ns, any, 8080) });
    undo.push(() => server.close());
    const udp = dgram.createSocket(any === "::" ? "udp6" : "udp4");
    udp.on("message", (_, peer) => udp.send(`${ns.name} ${peer.address}`, peer.port, peer.address));
    udp.bind({ fd: udpSocket(ns, any, 8080) });
    undo.push(() => udp.close());
  }
}

export interface Asked {
  /** Milliseconds until an answer counts as `silence`. */
  readonly patience?: number;
  /** Near end; chosen by the kernel if not said. */
  readonly from?: string;
  readonly port?: number;
}

/** `pod-1 203.0.113.10`: who answered, and whom it saw; or the error's code, or `silence`. */
export function ask(ns: NetNs, address: string, port: number, asked: Asked = {}): Promise<string> {
  const { patience = 3000, from, port: near = 0 } = asked;
  return new Promise((resolve) => {
    const local = { port: near, ...(from === undefined ? {} : { address: from }) };
    const socket = tcpConnect(ns, address, port, local);
    let answer = "";
    socket.setTimeout(patience, () => {
      socket.destroy();
      resolve("silence");
    });
    socket.on("data", (bytes) => (answer += bytes.toString()));
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
    socket.on("close", () => resolve(answer));
  });
}

/** As `ask`, with one datagram from a port of its own. */
export function askUdp(ns: NetNs, address: string, port: number, asked: Asked = {}): Promise<string> {
  const six = familyOf(address) === "IPv6";
  const { patience = 3000, from = six ? "::" : "0.0.0.0", port: near = 0 } = asked;
  return new Promise((resolve) => {
    const socket = dgram.createSocket(six ? "udp6" : "udp4");
    const end = (answer: string): void => {
      clearTimeout(timer);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(() => end("silence"), patience);
    socket.on("message", (bytes) => end(bytes.toString()));
    socket.on("error", (error: NodeJS.ErrnoException) => end(error.code ?? "error"));
    socket.bind({ fd: udpSocket(ns, from, near) }, () =>
      // Connected, so that a refusal is heard of.
      socket.connect(port, address, () => socket.send("?")),
    );
  });
}

/** The names of the pods that answered `count` connections, one after the other. */
export async function askMany(
  ns: NetNs,
  count: number,
  where: (index: number) => readonly [string, number] = () => ["10.96.0.7", 80],
): Promise<string[]> {
  const names: string[] = [];
  for (let i = 0; i < count; i++) names.push(nameIn(await ask(ns, ...where(i))));
  return names;
}

/** The pod's name in an answer. */
export function nameIn(answer: string): string {
  return answer.split(" ")[0] ?? "";
}

export function counts(names: readonly string[]): Record<string, number> {
  return Object.fromEntries([...new Set(names)].sort().map((n) => [n, names.filter((o) => o === n).length]));
}

export function assertEveryWindow(names: readonly string[], size: number): void {
  for (let i = 0; i + size <= names.length; i++) {
    const window = names.slice(i, i + size);
    assert.equal(new Set(window).size, size, `connections ${i} to ${i + size - 1}: ${window.join(" ")}`);
  }
}

/** Repeats until it holds; fails with the last failure after ten seconds, or as many as are given. */
export async function eventually(check: () => Promise<void>, patience = 10_000): Promise<void> {
  const end = performance.now() + patience;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

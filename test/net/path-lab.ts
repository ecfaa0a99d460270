/**
 * The cluster of `path-world.ts` in namespaces: load balancer, three nodes with Service rules, overlay and policies, and
 * six pods that say who they are. Built once; only the objects change.
 */
import dgram from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { homeNetNs, setSysctls, startNftThread, tcpConnect, tcpListener, udpSocket } from "#kernel";
import type { NetNs } from "#kernel";
import { codeOf } from "#lib/errors";
import { familyOf } from "#lib/ip";
import { silentLog } from "#lib/log";
import type { Overlay, Snapshot } from "#model";
import type { ProxyFacts } from "#path";
import { createOutside, ruleWriter, startLoadBalancer } from "#path/load-balancer";
import type { LoadBalancer } from "#path/load-balancer";
import { networkSettings, startNodes } from "#path/node";
import type { NodesHandle } from "#path/node";
import { startProxy } from "#path/proxy";
import type { Proxy } from "#path/proxy";
import { planLoadBalancer, predictedHealth } from "../../src/path/1-load-balancer/plan.ts";
import type { LoadBalancerPlan } from "../../src/path/1-load-balancer/plan.ts";
import { settableSource } from "../../src/path/4-proxy/testing.ts";
import type { Fate } from "../support/every-route.ts";
import { nodeNames, pathPods, pathSnapshot } from "../support/path-world.ts";
import type { NodeName, PathCase, PathFlow, Sender } from "../support/path-world.ts";
import { empty, identity } from "./node-fixture.ts";
import { labModes } from "./proxy-lab.ts";
import type { LabMode } from "./proxy-lab.ts";

const families = ["IPv4", "IPv6"] as const;
/** Of load-balancer addresses. */
const pools = ["203.0.113.128/25", "2001:db8:203:113:8000::/65"];

/** After this time, in milliseconds, from the last answer that was waited for, no answer is taken for silence. */
const SILENCE = 120;
/** An answer that was predicted is waited for so long. */
const PATIENCE = 3000;

export interface PathLab {
  /** Puts the objects of a case in force on every hop. */
  set(one: PathCase): Promise<Snapshot>;
  /** What is known of the Service rules now. */
  facts(): ProxyFacts;
  proxy(node: NodeName): Proxy;
  /** Sends every flow at once. Those that should be answered are waited for. */
  send(
    flows: readonly PathFlow[],
    answered: (flow: PathFlow) => boolean,
  ): Promise<ReadonlyMap<PathFlow, Fate>>;
  close(): Promise<void>;
}

/** Starts everything; what has been started is undone by `close`, last first. */
export async function startPathLab(mode: LabMode, overlay: Overlay): Promise<PathLab> {
  startNftThread();
  const undo: (() => unknown)[] = [];
  const source = settableSource(empty);
  const settings = networkSettings(families, overlay);
  const nodes = nodeNames.map((name, n) => identity(name, n, families));
  const network = startNodes({ nodes, source, log: silentLog, settings });
  undo.push(() => network.close());
  await network.ready;
  const { bridge } = settings.underlay;
  const outside = await createOutside({ home: homeNetNs(), bridge, families, pools });
  undo.push(() => outside.close());
  const writer = ruleWriter(outside.edge, families, pools, silentLog);
  const balancer = startLoadBalancer({ source, edge: outside.edge, writer, log: silentLog });
  undo.push(() => balancer.close());
  const places = new Map<Sender, NetNs>([["internet", outside.internet]]);
  const proxies = new Map<NodeName, Proxy>();
  for (const name of nodeNames) {
    const { ns } = nodeOf(network, name);
    places.set(`node/${name}`, ns);
    const proxy = startProxy({ source, node: name, netns: ns, log: silentLog, ...labModes[mode] });
    proxies.set(name, proxy);
    undo.push(() => proxy.close());
  }
  for (const { key, namespace, name, node, ipv4 } of pathPods) {
    const { sandboxes } = nodeOf(network, node);
    const pod = { namespace, name, uid: key };
    const { ns, address } = await sandboxes.create(pod);
    if (address !== ipv4) throw new Error(`${key} got ${address}, not ${ipv4}`);
    places.set(`pod/${key}`, ns);
    undo.push(...serveNames(ns, key), () => sandboxes.remove(pod));
  }
  for (const ns of [outside.edge, ...places.values()]) setSysctls(ns, everyError);
  await Promise.all([...[...proxies.values()].map(({ ready }) => ready), balancer.ready]);
  return {
    async set(one) {
      const snapshot = pathSnapshot(one, (node) => nodeOf(network, node).annotations);
      source.set(snapshot);
      const programmed = [...proxies.values()].map((proxy) => proxy.programmed(snapshot));
      await Promise.all([...programmed, network.settled(), balancedAs(balancer, snapshot)]);
      return snapshot;
    },
    facts: () => ({
      mode: labModes[mode].mode,
      silent: new Map([...proxies].map(([name, proxy]) => [name, proxy.silent()])),
    }),
    proxy: (node) => known(proxies.get(node), node),
    send: (flows, answered) => sendAll((place) => known(places.get(place), place), flows, answered),
    async close() {
      for (const step of undo.reverse()) await step();
    },
  };
}

function known<T>(found: T | undefined, name: string): T {
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
}

function nodeOf(network: NodesHandle, name: string) {
  return known(network.nodes.get(name), name);
}

/** Refusals over UDP are ICMP errors, and none of them may be saved. */
const everyError = { "net/ipv4/icmp_ratemask": "0", "net/ipv6/icmp/ratelimit": "0" };

/** Answers with the pod's name, the port, and the peer's address. */
function serveNames(ns: NetNs, key: string): (() => unknown)[] {
  return [80, 81].flatMap((port) =>
    ["0.0.0.0", "::"].flatMap((any) => {
      const answer = (peer: string | undefined): string => `${key} ${port} ${peer}`;
      const server = createServer((socket) => {
        socket.on("error", () => undefined);
        socket.end(answer(socket.remoteAddress));
      });
      server.listen({ fd: tcpListener(ns, any, port) });
      const udp = dgram.createSocket(any === "::" ? "udp6" : "udp4");
      udp.on("message", (_, peer) => udp.send(answer(peer.address), peer.port, peer.address));
      udp.bind({ fd: udpSocket(ns, any, port) });
      return [() => server.close(), () => udp.close()];
    }),
  );
}

/** The load balancer has heard of the nodes' health what it should hear, or has had time enough. */
async function balancedAs(balancer: LoadBalancer, snapshot: Snapshot): Promise<void> {
  const eligible = ({ ports }: LoadBalancerPlan): string =>
    JSON.stringify(ports.map(({ candidates }) => candidates.map((candidate) => candidate.eligible)));
  const wanted = eligible(planLoadBalancer(snapshot, predictedHealth(snapshot)));
  const deadline = Date.now() + PATIENCE;
  do {
    await new Promise((resolve) => setTimeout(resolve, 5));
    await balancer.settled();
  } while (eligible(balancer.current()) !== wanted && Date.now() < deadline);
}

/** Source ports take turns, so that nothing is taken for a reply to an older flow. */
const ports = { first: 33_000, last: 60_999 };
let nextPort = ports.first;

async function sendAll(
  place: (sender: Sender) => NetNs,
  flows: readonly PathFlow[],
  answered: (flow: PathFlow) => boolean,
): Promise<ReadonlyMap<PathFlow, Fate>> {
  const fates = new Map<PathFlow, Fate>();
  const sent = flows.map((flow) => {
    nextPort = nextPort === ports.last ? ports.first : nextPort + 1;
    const { promise, resolve } = Promise.withResolvers<void>();
    const hear = (fate: Fate): void => {
      if (!fates.has(flow)) fates.set(flow, fate);
      resolve();
    };
    const one = flow.protocol === "TCP" ? sendTcp : sendUdp;
    return { flow, close: one(place(flow.from), flow, nextPort, hear), heard: promise };
  });
  const awaited = sent.filter(({ flow }) => answered(flow)).map(({ heard }) => heard);
  const patience = sleeper(PATIENCE);
  await Promise.race([Promise.all(awaited), patience.over]);
  patience.stop();
  if (fates.size < flows.length) await sleeper(SILENCE).over;
  for (const { flow, close } of sent) {
    close();
    if (!fates.has(flow)) fates.set(flow, "silence");
  }
  return fates;
}

function sleeper(ms: number): { readonly over: Promise<void>; stop(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  return { over: promise, stop: () => clearTimeout(timer) };
}

type Send = (ns: NetNs, flow: PathFlow, near: number, hear: (fate: Fate) => void) => () => void;

const sendTcp: Send = (ns, { to, port }, near, hear) => {
  const socket = tcpConnect(ns, to, port, { port: near });
  let text = "";
  socket.on("data", (bytes) => (text += bytes.toString()));
  socket.on("end", () => hear(readAnswer(text)));
  socket.on("error", (error) => hear(readError(error)));
  return () => socket.destroy();
};

const sendUdp: Send = (ns, { to, port }, near, hear) => {
  const six = familyOf(to) === "IPv6";
  const socket = dgram.createSocket(six ? "udp6" : "udp4");
  socket.on("message", (bytes) => hear(readAnswer(bytes.toString())));
  socket.on("error", (error) => hear(readError(error)));
  // Connected, so that a refusal is heard of.
  void once(socket, "connect").then(
    () => socket.send("?"),
    () => undefined,
  );
  socket.bind({ fd: udpSocket(ns, six ? "::" : "0.0.0.0", near) }, () => socket.connect(port, to));
  return () => socket.close();
};

function readAnswer(text: string): Fate {
  const [pod = "", port = "", source = ""] = text.split(" ");
  return { pod, port: Number(port), source };
}

const refusals: ReadonlySet<unknown> = new Set(["ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "ECONNRESET"]);

function readError(error: Error): Fate {
  if (refusals.has(codeOf(error))) return "refused";
  throw error;
}

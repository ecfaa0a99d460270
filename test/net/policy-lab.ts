/**
 * The nine pods of `policy-world.ts` in namespaces of their own, on two routers with the policies of a node each, and a
 * client outside. No overlay and no Service rules: what keeps packets back here are policies alone.
 */
import dgram from "node:dgram";
import { createServer } from "node:net";
import {
  closeNetNs,
  createNetNs,
  ipBatch,
  nft,
  setSysctls,
  startNftThread,
  tcpConnect,
  tcpListener,
  udpSocket,
} from "#kernel";
import type { NetNs } from "#kernel";
import { silentLog } from "#lib/log";
import type { Log } from "#lib/log";
import type { Snapshot } from "#model";
import { startPolicyPlane } from "#path/node";
import type { PolicyPlane } from "#path/node";
import { settableSource } from "../../src/path/4-proxy/testing.ts";
import type { SettableSource } from "../../src/path/4-proxy/testing.ts";
import { ports, worldNodes, worldPods, worldSnapshot } from "../support/policy-world.ts";

export type Family = "ipv4" | "ipv6";
export const outside = { ipv4: "203.0.113.10", ipv6: "fd00:203::10" } as const;

export interface Probe {
  /** Key of a pod, a node's name, or `outside`. */
  readonly from: string;
  /** Key of a pod. */
  readonly to: string;
  readonly port: number;
  readonly protocol: "TCP" | "UDP";
  readonly family: Family;
}

export interface PolicyLab {
  readonly nodes: ReadonlyMap<string, NetNs>;
  readonly planes: ReadonlyMap<string, PolicyPlane>;
  readonly source: SettableSource;
  place(name: string): NetNs;
  /** Puts a snapshot in force on both nodes, with nothing recorded as kept back. */
  set(snapshot: Snapshot): Promise<void>;
  /** Sends one packet for each and says which were answered; the others were seen to be kept back by a node. */
  probe(probes: readonly Probe[]): Promise<ReadonlySet<Probe>>;
  close(): Promise<void>;
}

/** `log` hears what the planes say. */
export async function startPolicyLab(log: Log = silentLog): Promise<PolicyLab> {
  startNftThread();
  const undo: (() => unknown)[] = [];
  const places = new Map<string, NetNs>();
  const namespace = (name: string): NetNs => {
    const ns = createNetNs(name);
    places.set(name, ns);
    undo.push(() => closeNetNs(ns));
    return ns;
  };
  const [a, b] = worldNodes.map(({ name }) => namespace(name)) as [NetNs, NetNs];
  for (const ns of [a, b]) {
    setSysctls(ns, { "net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "1" });
    await ipBatch(ns, ["link set lo up"]);
    // On real nodes, masquerading has connections tracked before there is any policy.
    await nft(
      ns,
      "table inet tracking { chain c { type filter hook forward priority 0; ct state new; }; }\n",
    );
  }
  await ipBatch(a, [
    `link add wire address ${macs[0]} type veth peer name wire address ${macs[1]} netns ${b.path}`,
  ]);
  for (const [own, other, ns] of [[0, 1, a] as const, [1, 0, b] as const]) await joinNodes(ns, own, other);
  await attach(a, namespace("outside"), outside, "outside");
  await ipBatch(
    b,
    [outside.ipv4, outside.ipv6].map((to) => `route add ${to} via ${viaNode(0, to)} dev wire`),
  );
  for (const pod of worldPods) {
    const ns = namespace(pod.key);
    await attach(pod.node === "node-a" ? a : b, ns, pod, pod.key);
    for (const address of [pod.ipv4, pod.ipv6]) undo.push(...serve(ns, address));
  }
  const source = settableSource(worldSnapshot([]));
  const planes = new Map(
    [a, b].map((ns) => {
      const plane = startPolicyPlane({ source, node: ns.name, ns, log });
      undo.push(() => plane.close());
      return [ns.name, plane] as const;
    }),
  );
  const nodes = new Map([a, b].map((ns) => [ns.name, ns]));
  const place = (name: string): NetNs => {
    const found = places.get(name);
    if (found === undefined) throw new Error(`no place ${name}`);
    return found;
  };
  return {
    nodes,
    planes,
    source,
    place,
    async set(snapshot) {
      source.set(snapshot);
      await Promise.all([...planes.values()].map((plane) => plane.programmed(snapshot)));
      for (const ns of nodes.values()) await forgetDenied(ns);
    },
    probe: (probes) => probeAll([...planes.values()], place, probes),
    async close() {
      for (const step of undo.reverse()) await step();
    },
  };
}

const macs = ["02:00:00:00:00:0a", "02:00:00:00:00:0b"] as const;

function viaNode(node: 0 | 1, for_: string): string {
  return for_.includes(":") ? worldNodes[node].ipv6 : worldNodes[node].ipv4;
}

async function joinNodes(ns: NetNs, own: 0 | 1, other: 0 | 1): Promise<void> {
  const { ipv4, ipv6 } = worldNodes[own];
  await ipBatch(ns, [
    `address add ${ipv4}/24 dev wire`,
    `address add ${ipv6}/64 dev wire nodad`,
    "link set wire up",
    // Known beforehand: a burst of datagrams would not wait for a neighbour to be found.
    `neighbour replace ${worldNodes[other].ipv4} lladdr ${macs[other]} dev wire nud permanent`,
    `neighbour replace ${worldNodes[other].ipv6} lladdr ${macs[other]} dev wire nud permanent`,
    ...worldNodes[other].podCIDRs.map((cidr) => `route add ${cidr} via ${viaNode(other, cidr)} dev wire`),
  ]);
}

/** A place on a routed veth, with an address of each family. */
async function attach(
  node: NetNs,
  ns: NetNs,
  { ipv4, ipv6 }: { readonly ipv4: string; readonly ipv6: string },
  device: string,
): Promise<void> {
  await ipBatch(node, [
    `link add ${device} type veth peer name eth0 netns ${ns.path}`,
    `address add 169.254.1.1/32 dev ${device}`,
    `address add fe80::1/64 dev ${device} nodad`,
    `link set ${device} up`,
    `route add ${ipv4} dev ${device}`,
    `route add ${ipv6} dev ${device}`,
  ]);
  await ipBatch(ns, [
    "link set lo up",
    `address add ${ipv4}/32 dev eth0`,
    `address add ${ipv6}/128 dev eth0 nodad`,
    "link set eth0 up",
    "route add 169.254.1.1 dev eth0",
    "route add default via 169.254.1.1 dev eth0",
    "route add default via fe80::1 dev eth0",
  ]);
}

/** Answers every connection and every datagram. */
function serve(ns: NetNs, address: string): (() => unknown)[] {
  return ports.flatMap((port) => {
    const server = createServer((socket) => socket.on("error", () => undefined).end());
    server.listen({ fd: tcpListener(ns, address, port) });
    const udp = dgram.createSocket(address.includes(":") ? "udp6" : "udp4");
    udp.on("message", (message, peer) => udp.send(message, peer.port, peer.address));
    udp.bind({ fd: udpSocket(ns, address, port) });
    return [() => server.close(), () => udp.close()];
  });
}

/** Source ports are never used twice, so that nothing is taken for a reply to an older probe. */
let nextPort = 10_000;

async function probeAll(
  planes: readonly PolicyPlane[],
  place: (name: string) => NetNs,
  probes: readonly Probe[],
): Promise<ReadonlySet<Probe>> {
  const answered = new Set<Probe>();
  const open = new Map<string, { readonly probe: Probe; readonly close: () => void }>();
  for (const probe of probes) {
    const port = nextPort++;
    const close = send(place(probe.from), probe, port, () => answered.add(probe));
    open.set(tupleOf(probe, port), { probe, close });
  }
  const isDecided = (denied: ReadonlySet<string>): boolean =>
    [...open].every(([tuple, { probe }]) => answered.has(probe) || denied.has(tuple));
  const deadline = Date.now() + 20_000;
  try {
    while (!isDecided(await readDenied(planes))) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (Date.now() > deadline) throw new Error(`undecided: ${await undecided(planes, open, answered)}`);
    }
    return answered;
  } finally {
    for (const { close } of open.values()) close();
  }
}

async function undecided(
  planes: readonly PolicyPlane[],
  open: ReadonlyMap<string, { readonly probe: Probe }>,
  answered: ReadonlySet<Probe>,
): Promise<string> {
  const denied = await readDenied(planes);
  return [...open]
    .filter(([tuple, { probe }]) => !answered.has(probe) && !denied.has(tuple))
    .map(([tuple]) => tuple)
    .slice(0, 5)
    .join(", ");
}

function addressOf(name: string, family: Family): string {
  const pod = worldPods.find(({ key }) => key === name) ?? worldNodes.find((node) => node.name === name);
  return (pod ?? outside)[family];
}

/** SOURCE PORT DESTINATION PORT PROTOCOL, as the nodes record it. */
function tupleOf({ from, to, port, protocol, family }: Probe, sourcePort: number): string {
  const ends = [addressOf(from, family), sourcePort, addressOf(to, family), port];
  return [...ends, protocol.toLowerCase()].join(" ");
}

function send(ns: NetNs, probe: Probe, sourcePort: number, onAnswer: () => void): () => void {
  const { from, to, port, protocol, family } = probe;
  const [source, destination] = [addressOf(from, family), addressOf(to, family)];
  if (protocol === "TCP") {
    const socket = tcpConnect(ns, destination, port, { address: source, port: sourcePort });
    socket.on("connect", onAnswer).on("error", () => undefined);
    return () => socket.destroy();
  }
  const socket = dgram.createSocket(family === "ipv4" ? "udp4" : "udp6");
  socket.on("message", onAnswer).on("error", () => undefined);
  socket.bind({ fd: udpSocket(ns, source, sourcePort) }, () => socket.send("?", port, destination));
  return () => socket.close();
}

/** What the nodes recorded as kept back, as `tupleOf` writes it. */
async function readDenied(planes: Iterable<PolicyPlane>): Promise<ReadonlySet<string>> {
  const read = await Promise.all([...planes].map((plane) => plane.denied()));
  return new Set(
    read
      .flat()
      .map(({ source, sourcePort, destination, destinationPort, protocol }) =>
        [source, sourcePort, destination, destinationPort, protocol].join(" "),
      ),
  );
}

/** Empties the record of what was kept back. */
export async function forgetDenied(ns: NetNs): Promise<void> {
  const tables = await nft(ns, "list tables\n");
  for (const [, family = ""] of tables.matchAll(/^table (ip6?) inroad-policy$/gm)) {
    await nft(
      ns,
      ["egress", "ingress"].map((way) => `flush set ${family} inroad-policy denied-${way}\n`).join(""),
    );
  }
}

import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import type { Server } from "node:net";
import { homeNetNs, nft, run, setSysctls, tcpConnect, tcpListener } from "#kernel";
import type { NetNs } from "#kernel";
import { silentLog } from "#lib/log";
import { compile } from "#model";
import type { NodeModel, Snapshot, SnapshotSource } from "#model";
import { explain, leftByMark, observeFlow, observeRoute, podLink, startNodes } from "#path/node";
import { startCapture } from "./node-capture.ts";
import type { NodesHandle, Sandbox } from "#path/node";

const identities = [
  { name: "node-a", address: "172.30.0.11", podCIDR: "10.244.0.0/24" },
  { name: "node-b", address: "172.30.0.12", podCIDR: "10.244.1.0/24" },
];
const empty: Snapshot = compile(
  {
    nodes: [],
    pods: [],
    services: [],
    endpointSlices: [],
    ingresses: [],
    ingressClasses: [],
    secrets: [],
    namespaces: [],
  },
  { domain: "cluster.local" },
);

/** A source whose snapshot is set by hand. */
function manualSource(): SnapshotSource & { set(snapshot: Snapshot): void } {
  let snapshot = empty;
  const listeners = new Set<(next: Snapshot) => void>();
  return {
    current: () => snapshot,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    set(next) {
      snapshot = next;
      for (const listener of listeners) listener(next);
    },
  };
}

const source = manualSource();
let network: NodesHandle;
const pods = new Map<string, Sandbox>();

function nodeOf(name: string): NodesHandle["nodes"] extends ReadonlyMap<string, infer N> ? N : never {
  const node = network.nodes.get(name);
  assert.ok(node);
  return node;
}

function pod(name: string): Sandbox {
  const found = pods.get(name);
  assert.ok(found, name);
  return found;
}

function nodeModels(): ReadonlyMap<string, NodeModel> {
  return new Map(
    identities.map((identity) => {
      const data = nodeOf(identity.name).annotations["flannel.alpha.coreos.com/backend-data"] ?? "{}";
      const { VtepMAC } = JSON.parse(data) as { VtepMAC: string };
      const lists = { addresses: [identity.address], podCIDRs: [identity.podCIDR] };
      return [identity.name, { ...identity, ...lists, vtepMac: VtepMAC, ready: true }];
    }),
  );
}

let timing = 0;

before(async () => {
  const started = performance.now();
  network = startNodes({ nodes: identities, source, log: silentLog });
  await network.ready;
  source.set({ ...empty, nodes: nodeModels() });
  await Promise.all(
    ["a1", "a2", "a3", "b1", "b2", "b3"].map(async (name) => {
      const { sandboxes } = nodeOf(`node-${name.slice(0, 1)}`);
      pods.set(name, await sandboxes.create({ namespace: "default", name, uid: `uid-${name}` }));
    }),
  );
  await network.settled();
  timing = performance.now() - started;
});

after(() => network.close());

/** A server that tells each peer its own address, in one pod or node. */
function whoAmI(ns: NetNs, port: number): Server {
  const server = createServer((socket) => socket.end(`${socket.remoteAddress}`));
  return server.listen({ fd: tcpListener(ns, "0.0.0.0", port) });
}

async function ask(from: NetNs, address: string, port: number, localPort?: number): Promise<string> {
  const socket = tcpConnect(from, address, port, localPort === undefined ? undefined : { port: localPort });
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(socket, "close");
  return Buffer.concat(chunks).toString();
}

async function counter(ns: NetNs, device: string): Promise<{ packets: number; bytes: number }> {
  const { stdout } = await run(ns, "ip", ["-j", "-s", "link", "show", "dev", device]);
  const [link] = JSON.parse(stdout) as { stats64: { tx: { packets: number; bytes: number } } }[];
  assert.ok(link);
  return link.stats64.tx;
}

test("two nodes and six pods are up well under a second", (t) => {
  t.diagnostic(`brought up in ${timing.toFixed(0)} ms`);
  assert.ok(timing < 1000, `${timing} ms`);
});

test("pods get the lowest addresses of their node from .2", () => {
  assert.deepEqual([...pods.values()].map(({ address }) => address).sort(), [
    "10.244.0.2",
    "10.244.0.3",
    "10.244.0.4",
    "10.244.1.2",
    "10.244.1.3",
    "10.244.1.4",
  ]);
});

test("pods of one node reach each other without the overlay and see true sources", async (t) => {
  const server = whoAmI(pod("a2").ns, 8080);
  t.after(() => server.close());
  const before = await counter(nodeOf("node-a").ns, "flannel.1");
  assert.equal(await ask(pod("a1").ns, pod("a2").address, 8080), pod("a1").address);
  assert.deepEqual(await counter(nodeOf("node-a").ns, "flannel.1"), before);
});

test("pods of two nodes reach each other through VXLAN, pods of one node do not: seen on the wire", async (t) => {
  const capture = startCapture(nodeOf("node-a").ns);
  t.after(() => capture.close());
  const tokenPackets = async (target: string, token: string): Promise<string[]> => {
    const server = createServer((socket) => socket.end(token));
    server.listen({ fd: tcpListener(pod(target).ns, "0.0.0.0", 8085) });
    assert.equal(await ask(pod("a1").ns, pod(target).address, 8085), token);
    server.close();
    return capture
      .udp()
      .filter(({ destinationPort, payload }) => destinationPort === 8472 && payload.includes(token))
      .map(({ source, destination }) => `${source} > ${destination}`);
  };
  const [seen] = await tokenPackets("b1", "token-of-a-remote-pod");
  assert.equal(seen, "172.30.0.12 > 172.30.0.11");
  assert.deepEqual(await tokenPackets("a2", "token-of-a-local-pod"), []);
});

test("a full segment crosses the overlay whole: the MTU of pods is 1450", async () => {
  const { stdout } = await run(pod("a1").ns, "ip", ["-j", "link", "show", "dev", "eth0"]);
  assert.equal((JSON.parse(stdout) as { mtu: number }[])[0]?.mtu, 1450);
  const bytes = 3_000_000;
  const server = createServer((socket) => socket.end(Buffer.alloc(bytes, "x"))).listen({
    fd: tcpListener(pod("b2").ns, "0.0.0.0", 8081),
  });
  assert.equal((await ask(pod("a2").ns, pod("b2").address, 8081)).length, bytes);
  server.close();
});

test("the conntrack mark of a connection says how it left: overlay, then the pod's link, as explained", async (t) => {
  const server = whoAmI(pod("b1").ns, 8082);
  t.after(() => server.close());
  await ask(pod("a1").ns, pod("b1").address, 8082, 40555);
  const filter = { protocol: "tcp", source: pod("a1").address, sourcePort: 40555 } as const;
  const onA = await observeFlow(nodeOf("node-a").ns, filter);
  const onB = await observeFlow(nodeOf("node-b").ns, filter);
  assert.deepEqual(
    [onA.map(({ leftBy }) => leftBy), onB.map(({ leftBy }) => leftBy)],
    [["overlay"], ["pod"]],
  );
});

test("other bits of the mark stay as they are", async (t) => {
  const server = whoAmI(pod("a2").ns, 8083);
  t.after(() => server.close());
  const rule = "add rule ip other c ct state new ct mark set 0x4001";
  await nft(
    nodeOf("node-a").ns,
    `table ip other { chain c { type filter hook prerouting priority mangle; }; }\n${rule}`,
  );
  t.after(() => nft(nodeOf("node-a").ns, "delete table ip other"));
  await ask(pod("a1").ns, pod("a2").address, 8083, 40556);
  const [seen] = await observeFlow(nodeOf("node-a").ns, { protocol: "tcp", sourcePort: 40556 });
  assert.equal(seen?.entry.mark, 0x4001 | leftByMark.pod);
});

test("what leaves for the outside carries the node's address, what comes from there keeps its own", async (t) => {
  const servers = [whoAmI(homeNetNs(), 9090), whoAmI(pod("a1").ns, 9090), whoAmI(pod("b1").ns, 9091)];
  t.after(() => servers.forEach((server) => server.close()));
  assert.equal(await ask(pod("a1").ns, "172.30.0.1", 9090), "172.30.0.11");
  assert.equal(await ask(homeNetNs(), pod("a1").address, 9090), "172.30.0.1");
  assert.equal(await ask(nodeOf("node-a").ns, pod("a1").address, 9090), "172.30.0.11");
  assert.equal(await ask(nodeOf("node-a").ns, pod("b1").address, 9091), "10.244.0.0");
});

test("an address of the pod network that nobody has is unreachable at once, here and on the other node", async () => {
  for (const address of ["10.244.0.99", "10.244.1.99", "10.244.77.1"]) {
    const socket = tcpConnect(pod("a1").ns, address, 80);
    const [error] = await once(socket, "connect").catch((cause: unknown) => [cause]);
    assert.match(String(error), /EHOSTUNREACH/, address);
  }
});

test("predicted routes are those of the kernel", async () => {
  const snapshot: Snapshot = {
    ...empty,
    nodes: nodeModels(),
    podsByAddress: new Map(
      ["a2", "b1"].map((name) => [
        pod(name).address,
        {
          namespace: "default",
          name,
          uid: `uid-${name}`,
          node: `node-${name.slice(0, 1)}`,
          address: pod(name).address,
          addresses: [pod(name).address],
          labels: {},
          ready: true,
          terminating: false,
          hostNetwork: false,
          ports: [],
        },
      ]),
    ),
  };
  const routes = (await run(nodeOf("node-a").ns, "ip", ["route"])).stdout;
  for (const name of ["a2", "b1"]) {
    const { steps } = explain(
      snapshot,
      { at: "node", node: "node-a" },
      {
        protocol: "TCP",
        source: { address: pod("a1").address },
        destination: { address: pod(name).address, port: 80 },
      },
    );
    const line = steps[0]?.predicted[0] ?? "nothing";
    assert.ok(routes.includes(line), `${line} in\n${routes}`);
  }
  assert.equal((await observeRoute(nodeOf("node-a").ns, pod("b1").address)).device, "flannel.1");
});

test("no bridge filter is needed: it works with bridge-nf-call-iptables off", async (t) => {
  try {
    setSysctls(homeNetNs(), { "net/bridge/bridge-nf-call-iptables": "0" });
  } catch {
    t.diagnostic("the kernel has no br_netfilter, so it is off anyway");
  }
  const server = whoAmI(pod("b3").ns, 8084);
  t.after(() => server.close());
  assert.equal(await ask(pod("a3").ns, pod("b3").address, 8084), pod("a3").address);
});

test("a removed pod is gone from the node, its address rests, and create is idempotent", async () => {
  const { sandboxes, ns } = nodeOf("node-b");
  const identity = { namespace: "default", name: "short", uid: "uid-short" };
  const first = await sandboxes.create(identity);
  assert.equal(await sandboxes.create(identity), first);
  assert.equal(first.address, "10.244.1.5");
  await sandboxes.remove(identity);
  await sandboxes.remove(identity);
  const links = (await run(ns, "ip", ["-o", "link"])).stdout;
  assert.ok(!links.includes(podLink(identity, first.address).device));
  const second = await sandboxes.create({ ...identity, uid: "uid-2" });
  assert.equal(second.address, "10.244.1.6");
  await sandboxes.remove({ ...identity, uid: "uid-2" });
});

test("overlay entries of a node come and go with it", async () => {
  const all = nodeModels();
  const onlyA = new Map([...all].filter(([name]) => name === "node-a"));
  source.set({ ...empty, nodes: onlyA });
  await network.settled();
  await assertUnreachable("10.244.1.2");
  source.set({ ...empty, nodes: all });
  await network.settled();
  assert.equal((await observeRoute(nodeOf("node-a").ns, "10.244.1.2")).via, "10.244.1.0");
});

async function assertUnreachable(address: string): Promise<void> {
  await assert.rejects(observeRoute(nodeOf("node-a").ns, address), { code: "Unreachable" });
}

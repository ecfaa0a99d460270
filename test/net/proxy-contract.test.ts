/** What every kind of Service rules must do, shown with packets between namespaces. */
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import assert from "node:assert/strict";
import dgram from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import {
  closeNetNs,
  conntrack,
  createNetNs,
  ipBatch,
  iptablesRestore,
  nft,
  run,
  setSysctls,
  tcpConnect,
  tcpListener,
  udpSocket,
} from "#kernel";
import type { NetNs } from "#kernel";
import { silentLog } from "#lib/log";
import type { Flow, Place } from "#model";
import { chosenEndpoint, explain, startProxy } from "#path/proxy";
import type { KernelMode, KernelProxyOptions, Proxy } from "#path/proxy";
import { settableSource, testSnapshot } from "../../src/path/4-proxy/testing.ts";
import type { SettableSource, TestEndpoint, TestService } from "../../src/path/4-proxy/testing.ts";

const NODE = "172.30.0.11";
const CLIENT = "203.0.113.10";
const VIP = "203.0.113.200";
const CLUSTER_IP = "10.96.0.7";
const GATEWAY = "10.244.0.1";
const LIST = "default/api:http/TCP";

const pods: readonly Required<Pick<TestEndpoint, "address" | "node" | "pod">>[] = [
  { address: "10.244.0.2", node: "node-a", pod: "pod-1" },
  { address: "10.244.0.3", node: "node-a", pod: "pod-2" },
  { address: "10.244.1.2", node: "node-b", pod: "pod-3" },
  { address: "10.244.1.3", node: "node-b", pod: "pod-4" },
];
const [pod1, pod2, pod3, pod4] = pods as [TestEndpoint, TestEndpoint, TestEndpoint, TestEndpoint];
const three = [pod1, pod2, pod3];

const everyKind = {
  name: "api",
  clusterIP: CLUSTER_IP,
  type: "LoadBalancer",
  nodePort: 30080,
  loadBalancerIP: VIP,
} as const;

function api(endpoints: readonly TestEndpoint[], more: Partial<TestService> = {}): TestService {
  return { ...everyKind, endpoints, ...more };
}

function dns(endpoint: TestEndpoint): TestService {
  return { name: "dns", clusterIP: "10.96.0.10", port: 53, protocol: "UDP", endpoints: [endpoint] };
}

interface Lab {
  readonly client: NetNs;
  readonly node: NetNs;
  /** By pod name. */
  readonly pods: ReadonlyMap<string, NetNs>;
  readonly source: SettableSource;
  readonly proxy: Proxy;
  /** What to do at the end of the test, last first. */
  readonly undo: (() => unknown)[];
  /** Puts these Services in force. */
  set(...services: readonly TestService[]): Promise<void>;
}

/**
 * `client` 203.0.113.10 - `node` 172.30.0.11 - four pods on routed veths. Two of the pods are said to be on node-b; the
 * node reaches them all the same.
 */
async function lab(
  t: TestContext,
  mode: KernelMode,
  services: readonly TestService[],
  more: Partial<KernelProxyOptions> & { readonly onNode?: (node: NetNs) => Promise<void> } = {},
): Promise<Lab> {
  // The test runner calls its own `after` functions in the order of their registration; here the last comes first.
  const undo: (() => unknown)[] = [];
  t.after(async () => {
    for (const step of undo.reverse()) await step();
  });
  const namespace = (name: string): NetNs => {
    const ns = createNetNs(name);
    undo.push(() => closeNetNs(ns));
    return ns;
  };
  const client = namespace("client");
  const node = namespace("node-a");
  await ipBatch(node, [
    "link set lo up",
    `link add out type veth peer name eth0 netns ${client.path}`,
    `address add ${NODE}/24 dev out`,
    "link set out up",
    `route add ${CLIENT} dev out`,
    `route add default via ${CLIENT} dev out onlink`,
  ]);
  await ipBatch(client, [
    "link set lo up",
    `address add ${CLIENT}/32 dev eth0`,
    "link set eth0 up",
    "route add 172.30.0.0/24 dev eth0",
    `route add 10.0.0.0/8 via ${NODE}`,
    `route add ${VIP} via ${NODE}`,
  ]);
  setSysctls(node, { "net/ipv4/ip_forward": "1" });
  const byName = new Map<string, NetNs>();
  for (const { address, pod } of pods) byName.set(pod, await attachPod(undo, node, namespace(pod), address));
  await more.onNode?.(node);
  const source = settableSource(testSnapshot(...services));
  const proxy = startProxy({ source, node: "node-a", netns: node, mode, log: silentLog, ...more });
  undo.push(() => proxy.close());
  await proxy.ready;
  return {
    client,
    node,
    undo,
    pods: byName,
    source,
    proxy,
    set: (...changed) => {
      const snapshot = testSnapshot(...changed);
      source.set(snapshot);
      return proxy.programmed(snapshot);
    },
  };
}

/** A pod on a routed veth that answers every TCP connection and datagram with its name and the peer's address. */
async function attachPod(undo: (() => unknown)[], node: NetNs, ns: NetNs, address: string): Promise<NetNs> {
  await ipBatch(node, [
    `link add ${ns.name} type veth peer name eth0 netns ${ns.path}`,
    `address add ${GATEWAY}/32 dev ${ns.name}`,
    `link set ${ns.name} up`,
    `route add ${address} dev ${ns.name}`,
  ]);
  await ipBatch(ns, [
    "link set lo up",
    `address add ${address}/32 dev eth0`,
    "link set eth0 up",
    `route add ${GATEWAY} dev eth0`,
    `route add default via ${GATEWAY}`,
  ]);
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.end(`${ns.name} ${socket.remoteAddress}`);
  });
  server.listen({ fd: tcpListener(ns, "0.0.0.0", 8080) });
  undo.push(() => server.close());
  const udp = dgram.createSocket("udp4");
  udp.on("message", (_, peer) => udp.send(`${ns.name} ${peer.address}`, peer.port, peer.address));
  udp.bind({ fd: udpSocket(ns, "0.0.0.0", 8080) });
  undo.push(() => udp.close());
  return ns;
}

/** `pod-1 203.0.113.10`: who answered, and whom it saw; or the error's code, or `silence`. */
function ask(ns: NetNs, address: string, port: number, patience = 3000, sourcePort = 0): Promise<string> {
  return new Promise((resolve) => {
    const socket = tcpConnect(ns, address, port, { port: sourcePort });
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

async function askMany(
  ns: NetNs,
  count: number,
  where: (index: number) => readonly [string, number] = () => [CLUSTER_IP, 80],
): Promise<string[]> {
  const names: string[] = [];
  for (let i = 0; i < count; i++) names.push((await ask(ns, ...where(i))).split(" ")[0] ?? "");
  return names;
}

function counts(names: readonly string[]): Record<string, number> {
  return Object.fromEntries([...new Set(names)].sort().map((n) => [n, names.filter((o) => o === n).length]));
}

function assertEveryWindow(names: readonly string[], size: number): void {
  for (let i = 0; i + size <= names.length; i++) {
    const window = names.slice(i, i + size);
    assert.equal(new Set(window).size, size, `connections ${i} to ${i + size - 1}: ${window.join(" ")}`);
  }
}

/** Repeats until it holds; fails with the last failure after ten seconds. */
async function eventually(check: () => Promise<void>): Promise<void> {
  const end = performance.now() + 10_000;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

function podNs(lab: Lab, name: string | undefined): NetNs {
  const ns = lab.pods.get(name ?? "");
  assert.ok(ns);
  return ns;
}

/** Own rules go missing: all of them, or just the entry of a Service. */
const sabotage: Readonly<Record<KernelMode, Readonly<Record<string, (node: NetNs) => Promise<unknown>>>>> = {
  nftables: {
    "the whole table": (node) => nft(node, "delete table ip inroad-proxy\n"),
    "one element": (node) =>
      nft(node, `delete element ip inroad-proxy services { ${CLUSTER_IP} . tcp . 80 }\n`),
    "one rule": (node) => nft(node, "flush chain ip inroad-proxy svc/default/api/tcp/http\n"),
  },
  iptables: {
    "the dispatch rules": (node) => iptablesRestore(node, "*nat\n-F INROAD-SERVICES\nCOMMIT\n"),
    "the jump": (node) => iptablesRestore(node, "*nat\n-D PREROUTING -j INROAD-SERVICES\nCOMMIT\n"),
  },
};

const foreignRules = `
table ip foreign {
  comment "not ours"
  set odd {
    type ipv4_addr . inet_service . mark
    flags interval
    elements = { 192.0.2.0/25 . 1-99 . 0x1 }
  }
  chain c {
    type filter hook forward priority 10;
    ip dscp != cs7 meta length & 0x3 == 0x1 limit rate over 7/week burst 9 packets counter
  }
}
`;

for (const mode of ["nftables", "iptables"] as const) {
  describe(`Service rules by ${mode}`, () => {
    test("300 connections to a ClusterIP go 100/100/100, and every window of three meets all", async (t) => {
      const { client } = await lab(t, mode, [api(three)]);
      const names = await askMany(client, 300);
      assert.deepEqual(counts(names), { "pod-1": 100, "pod-2": 100, "pod-3": 100 });
      assertEveryWindow(names, 3);
    });

    test("connections at the same time spread evenly as well", async (t) => {
      const { client } = await lab(t, mode, [api(three)]);
      const names = await Promise.all(Array.from({ length: 300 }, () => ask(client, CLUSTER_IP, 80)));
      assert.deepEqual(counts(names.map((n) => n.split(" ")[0] ?? "")), {
        "pod-1": 100,
        "pod-2": 100,
        "pod-3": 100,
      });
    });

    test("ClusterIP, NodePort and load-balancer address of a Service port share one order", async (t) => {
      const { client } = await lab(t, mode, [api(three)]);
      const places = [
        [CLUSTER_IP, 80],
        [NODE, 30080],
        [VIP, 80],
        [VIP, 80],
      ] as const;
      assertEveryWindow(await askMany(client, 40, (i) => places[i % 4] ?? [VIP, 80]), 3);
    });

    test("two Services have counters of their own", async (t) => {
      const other = { name: "other", clusterIP: "10.96.0.8", endpoints: three };
      const { client } = await lab(t, mode, [api(three), other]);
      const names = await askMany(client, 24, (i) => [i % 2 === 0 ? CLUSTER_IP : "10.96.0.8", 80]);
      assertEveryWindow(
        names.filter((_, i) => i % 2 === 0),
        3,
      );
      assertEveryWindow(
        names.filter((_, i) => i % 2 === 1),
        3,
      );
    });

    test("an endpoint replaced by another takes its turns, and the order goes on", async (t) => {
      const at = await lab(t, mode, [api(three)]);
      const before = await askMany(at.client, 4);
      await at.set(api([pod1, pod4, pod3]));
      const after = await askMany(at.client, 8);
      const renamed = before.map((name) => (name === "pod-2" ? "pod-4" : name));
      assertEveryWindow([...renamed, ...after], 3);
    });

    test("another Service's changes do not disturb the order", async (t) => {
      const at = await lab(t, mode, [api(three)]);
      const names: string[] = [];
      for (let i = 0; i < 6; i++) {
        names.push(...(await askMany(at.client, 2)));
        await at.set(api(three), { name: "other", clusterIP: "10.96.0.8", endpoints: three.slice(i % 3) });
      }
      assertEveryWindow(names, 3);
    });

    test("when their number changes, the endpoint in turn is still the next", async (t) => {
      const at = await lab(t, mode, [api(three)]);
      const before = await askMany(at.client, 5);
      await at.set(api([...three, pod4]));
      const grown = await askMany(at.client, 8);
      assert.equal(grown[0], before[2]);
      assertEveryWindow(grown, 4);
      await at.set(api(three));
      assertEveryWindow(await askMany(at.client, 9), 3);
    });

    for (const count of [2, 6]) {
      test(`when ${count} Services change their number at once, each goes on with the endpoint in turn`, async (t) => {
        const addresses = Array.from({ length: count }, (_, i) => `10.96.0.${20 + i}`);
        const services = (endpoints: readonly TestEndpoint[]) =>
          addresses.map((clusterIP, i) => ({ name: `s${i}`, clusterIP, endpoints }));
        const at = await lab(t, mode, services(three));
        const asked = (n: number) =>
          Promise.all(addresses.map((address) => askMany(at.client, n, () => [address, 80])));
        const before = await asked(5);
        await at.set(...services([...three, pod4]));
        const after = await asked(4);
        assert.deepEqual(
          after.map(([first]) => first),
          before.map((names) => names[2]),
        );
        for (const names of after) assertEveryWindow(names, 4);
      });
    }

    test("an endpoint that flaps does not starve the others", async (t) => {
      const at = await lab(t, mode, [api(three)]);
      const names: string[] = [];
      for (let i = 0; i < 12; i++) {
        names.push(...(await askMany(at.client, 2)));
        await at.set(api(i % 2 === 0 ? [...three, pod4] : three));
      }
      const spread = counts(names);
      for (const name of ["pod-1", "pod-2", "pod-3"]) {
        assert.ok((spread[name] ?? 0) >= 6, `of ${names.length} connections: ${JSON.stringify(spread)}`);
      }
    });

    test("no connection hangs or fails while endpoints come and go", async (t) => {
      const at = await lab(t, mode, [api(three)]);
      const answers = new Map<string, number>();
      const end = new AbortController();
      const clients = Array.from({ length: 4 }, async () => {
        while (!end.signal.aborted) {
          const name = (await ask(at.client, CLUSTER_IP, 80)).split(" ")[0] ?? "";
          answers.set(name, (answers.get(name) ?? 0) + 1);
        }
      });
      for (let i = 0; i < 25; i++) {
        await at.set(api(pods.slice(i % 3, (i % 3) + 1 + ((i * 7) % 4))));
        // Changes may take no turn of the event loop: the others must get on between them.
        await askMany(at.client, 1);
      }
      end.abort();
      await Promise.all(clients);
      assert.deepEqual([...answers.keys()].sort(), ["pod-1", "pod-2", "pod-3", "pod-4"]);
    });

    test("without ready endpoints every kind of address refuses at once, from everywhere", async (t) => {
      const at = await lab(t, mode, [api([{ ...pod1, ready: false }])]);
      for (const from of [at.client, at.node, podNs(at, "pod-3")]) {
        for (const [address, port] of [
          [CLUSTER_IP, 80],
          [NODE, 30080],
          [VIP, 80],
        ] as const) {
          const began = performance.now();
          assert.equal(await ask(from, address, port), "ECONNREFUSED", `${from.name} to ${address}`);
          assert.ok(performance.now() - began < 1000);
        }
      }
      await at.set(api([pod1]));
      assert.equal((await askMany(at.client, 1))[0], "pod-1");
    });

    test("policy Local: outsiders meet local endpoints only and keep their address", async (t) => {
      const at = await lab(t, mode, [api(three, { externalTrafficPolicy: "Local" })]);
      for (const [address, port] of [
        [NODE, 30080],
        [VIP, 80],
      ] as const) {
        const answers = new Set<string>();
        for (let i = 0; i < 4; i++) answers.add(await ask(at.client, address, port));
        assert.deepEqual([...answers].sort(), [`pod-1 ${CLIENT}`, `pod-2 ${CLIENT}`]);
      }
      const fromPod = await askMany(podNs(at, "pod-2"), 3, () => [VIP, 80]);
      assert.deepEqual([...new Set(fromPod)].sort(), ["pod-1", "pod-2", "pod-3"]);
      const fromNode = await askMany(at.node, 3, () => [VIP, 80]);
      assert.deepEqual([...new Set(fromNode)].sort(), ["pod-1", "pod-2", "pod-3"]);
    });

    test("policy Local without a local endpoint: outsiders meet silence, insiders are served", async (t) => {
      const local = { externalTrafficPolicy: "Local", internalTrafficPolicy: "Cluster" } as const;
      const at = await lab(t, mode, [api([pod3], local)]);
      assert.equal(await ask(at.client, VIP, 80, 400), "silence");
      assert.equal(await ask(at.client, NODE, 30080, 400), "silence");
      assert.equal(await ask(podNs(at, "pod-1"), VIP, 80), "pod-3 10.244.0.2");
      assert.equal(await ask(at.node, VIP, 80), `pod-3 ${GATEWAY}`);
      await at.set(api([pod3], { internalTrafficPolicy: "Local" }));
      assert.equal(await ask(podNs(at, "pod-1"), CLUSTER_IP, 80, 400), "silence");
      assert.equal(await ask(at.client, VIP, 80), `pod-3 ${GATEWAY}`);
    });

    test("the source is rewritten as kube-proxy does it", async (t) => {
      const at = await lab(t, mode, [api([pod3])]);
      const pod = podNs(at, "pod-1");
      const rows = [
        [pod, CLUSTER_IP, 80, "10.244.0.2"],
        [at.client, CLUSTER_IP, 80, GATEWAY],
        [at.node, CLUSTER_IP, 80, GATEWAY],
        [at.client, NODE, 30080, GATEWAY],
        [pod, NODE, 30080, GATEWAY],
        [pod, VIP, 80, GATEWAY],
      ] as const;
      for (const [from, address, port, seen] of rows) {
        assert.equal(await ask(from, address, port), `pod-3 ${seen}`, `${from.name} to ${address}`);
      }
    });

    test("a pod reaches itself through its own Service", async (t) => {
      const at = await lab(t, mode, [api([pod1])]);
      assert.equal(await ask(podNs(at, "pod-1"), CLUSTER_IP, 80), `pod-1 ${GATEWAY}`);
    });

    test("UDP: a flow that goes on from the same port leaves an endpoint that is gone", async (t) => {
      const at = await lab(t, mode, [dns(pod1)]);
      const socket = dgram.createSocket("udp4");
      socket.bind({ fd: udpSocket(podNs(at, "pod-3"), "0.0.0.0", 0) });
      at.undo.push(() => socket.close());
      const query = async (): Promise<string> => {
        socket.send("?", 53, "10.96.0.10");
        const [answer] = (await once(socket, "message", { signal: AbortSignal.timeout(3000) })) as [Buffer];
        return answer.toString();
      };
      assert.equal(await query(), "pod-1 10.244.1.2");
      await at.set(dns(pod2));
      assert.equal(await query(), "pod-2 10.244.1.2");
    });

    test("rules of others are not touched, and own ones go at the end", async (t) => {
      const ours = /inroad/i;
      const foreign = async (node: NetNs): Promise<string> => {
        const nftText = (await run(node, "nft", ["list", "table", "ip", "foreign"])).stdout;
        const saved = (await run(node, "iptables-save", [])).stdout.replaceAll(/\[\d+:\d+\]|^#.*$/gm, "");
        return (
          nftText +
          saved
            .split("\n")
            .filter((line) => !ours.test(line))
            .join("\n")
        );
      };
      let before = "";
      const at = await lab(t, mode, [api(three)], {
        onNode: async (node) => {
          await nft(node, foreignRules);
          const own = "*nat\n:OTHERS - [0:0]\n-A OTHERS -d 192.0.2.1/32 -p tcp -m tcp --dport 9 -j RETURN\n";
          await iptablesRestore(node, `${own}-A PREROUTING -j OTHERS\nCOMMIT\n*filter\n:F - [0:0]\nCOMMIT\n`);
          before = await foreign(node);
        },
      });
      assert.match(before, /limit rate over 7\/week/);
      await at.set(api([pod1]));
      assert.equal(await foreign(at.node), before);
      await at.proxy.close();
      assert.equal(await foreign(at.node), before);
      const left =
        (await run(at.node, "iptables-save", [])).stdout +
        (await run(at.node, "nft", ["list", "tables"])).stdout;
      assert.doesNotMatch(left, ours);
    });

    for (const [what, remove] of Object.entries(sabotage[mode])) {
      test(`${what} deleted by somebody: put back, and connections go on`, async (t) => {
        const at = await lab(t, mode, [api(three)]);
        await remove(at.node);
        const after = await ask(at.client, CLUSTER_IP, 80, 200);
        assert.doesNotMatch(after, /^pod/);
        await eventually(async () => assert.match(await ask(at.client, CLUSTER_IP, 80, 200), /^pod/));
        await eventually(async () => assertEveryWindow(await askMany(at.client, 6), 3));
      });
    }

    test("a child program killed while it works is started again", async (t) => {
      let toKill = 2;
      const killed = async (node: NetNs): Promise<void> => {
        if (toKill-- <= 0) return;
        const { code } = await run(node, "sh", ["-c", "kill -9 $$"]);
        throw new Error(`ended with ${code}`);
      };
      let inside: NetNs | undefined;
      const at = await lab(t, mode, [api(three)], {
        onNode: async (node) => void (inside = node),
        kernel: {
          nft: async (script) => (inside && (await killed(inside)), nft(inside, script)),
          iptablesRestore: async (text) => (inside && (await killed(inside)), iptablesRestore(inside, text)),
          run: (command, args, input) => run(inside, command, args, input),
        },
      });
      assertEveryWindow(await askMany(at.client, 6), 3);
      toKill = 1;
      await at.set(api([...three, pod4]));
      assertEveryWindow(await askMany(at.client, 8), 4);
    });

    test("a proxy that starts where another one left its rules takes them over", async (t) => {
      const at = await lab(t, mode, [api(three), { name: "gone", clusterIP: "10.96.0.9", endpoints: three }]);
      const second = startProxy({
        source: settableSource(testSnapshot(api([pod1, pod2]))),
        node: "node-a",
        netns: at.node,
        mode,
        log: silentLog,
      });
      at.undo.push(() => second.close());
      await second.ready;
      assert.deepEqual(counts(await askMany(at.client, 6)), { "pod-1": 3, "pod-2": 3 });
      assert.doesNotMatch(await ask(at.client, "10.96.0.9", 80, 200), /^pod/);
    });

    test("what explain() predicts is what the packet does, to the endpoint whose turn it is", async (t) => {
      const at = await lab(t, mode, [api(three)]);
      const place: Place = { at: "proxy", node: "node-a", from: "outside" };
      const destinations = [
        [CLUSTER_IP, 80],
        [NODE, 30080],
        [VIP, 80],
        [VIP, 80],
      ] as const;
      for (const [index, [address, port]] of destinations.entries()) {
        const rotation = await at.proxy.rotation([LIST]);
        const source = { address: CLIENT, port: 41_000 + index };
        const flow: Flow = { protocol: "TCP", source, destination: { address, port } };
        const told = explain(at.source.current(), place, flow, { mode, rotation });
        const decision = told.steps[0]?.decision;
        const answer = await ask(at.client, address, port, 3000, source.port);
        assert.equal(`default/${answer.split(" ")[0]}`, decision?.chosen);
        const entries = await conntrack(at.node, { protocol: "tcp", source: CLIENT, destination: address });
        const seen = chosenEndpoint(entries, flow);
        const wanted = decision?.candidates.find((candidate) => candidate.name === decision.chosen);
        assert.equal(seen?.endpoint.address, wanted?.address);
        assert.ok(seen?.masqueradedTo !== undefined);
      }
      assert.ok((await at.proxy.rulesOf(LIST)).length > 0);
    });

    test("load balancers are told where endpoints are", async (t) => {
      const local = { externalTrafficPolicy: "Local", healthCheckNodePort: 32000 } as const;
      const at = await lab(t, mode, [api(three, local)]);
      assert.match(await get(at.client, NODE, 10256, "/healthz"), /^HTTP\/1.1 200 .*"nodeEligible":true/s);
      assert.match(await get(at.client, NODE, 32000, "/"), /^HTTP\/1.1 200 .*"localEndpoints":2/s);
      await at.set(api([pod3], local));
      assert.match(
        await get(at.client, NODE, 32000, "/x"),
        /^HTTP\/1.1 503 .*{"service":{"namespace":"default","name":"api"},"localEndpoints":0,"serviceProxyHealthy":true}/s,
      );
      await at.set(api(three));
      assert.equal(await ask(at.client, NODE, 32000), "ECONNREFUSED");
    });
  });
}

test("nftables: another port of a ClusterIP is refused", async (t) => {
  const at = await lab(t, "nftables", [api(three)]);
  assert.equal(await ask(at.client, CLUSTER_IP, 81), "ECONNREFUSED");
});

/** The whole answer to a GET, head and body. */
function get(ns: NetNs, address: string, port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tcpConnect(ns, address, port);
    let answer = "";
    socket.on("connect", () => socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`));
    socket.on("data", (bytes) => (answer += bytes.toString()));
    socket.on("error", reject);
    socket.on("close", () => resolve(answer));
  });
}

import { test } from "node:test";
import type { TestContext } from "node:test";
import assert from "node:assert/strict";
import dgram from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import {
  closeNetNs,
  conntrack,
  createNetNs,
  getSysctl,
  homeNetNs,
  inNetNs,
  ipBatch,
  nft,
  routeGet,
  run,
  setSysctls,
  spawnIn,
  startWorker,
  tcpConnect,
  tcpListener,
  udpSocket,
} from "#kernel";
import type { NetNs, WorkerEvent } from "#kernel";
import { dualListener } from "#kernel/sockets";

function namespace(t: TestContext, name: string): NetNs {
  const ns = createNetNs(name);
  t.after(() => closeNetNs(ns));
  return ns;
}

/** Two namespaces joined by a veth pair, 10.9.0.1 and 10.9.0.2. */
async function pair(t: TestContext): Promise<{ left: NetNs; right: NetNs }> {
  const left = namespace(t, "left");
  const right = namespace(t, "right");
  await ipBatch(left, [
    `link add eth0 type veth peer name eth0 netns ${right.path}`,
    "address add 10.9.0.1/24 dev eth0",
    "link set lo up",
    "link set eth0 up",
  ]);
  await ipBatch(right, ["address add 10.9.0.2/24 dev eth0", "link set lo up", "link set eth0 up"]);
  return { left, right };
}

test("a new namespace is empty, apart from home, and the thread is at home again", async (t) => {
  const before = (await run(undefined, "readlink", ["/proc/self/ns/net"])).stdout;
  const ns = namespace(t, "a");
  const inside = (await run(ns, "readlink", ["/proc/self/ns/net"])).stdout;
  assert.notEqual(inside, before);
  assert.equal((await run(undefined, "readlink", ["/proc/self/ns/net"])).stdout, before);
  const links = (await run(ns, "ip", ["-o", "link"])).stdout.trim().split("\n");
  assert.ok(links.every((line) => !/eth|veth/.test(line)));
});

test("the thread comes home when the function inside throws, also from a nested namespace", async (t) => {
  const before = (await run(undefined, "readlink", ["/proc/self/ns/net"])).stdout;
  const outer = namespace(t, "outer");
  const inner = namespace(t, "inner");
  assert.throws(
    () =>
      inNetNs(outer, () =>
        inNetNs(inner, () => {
          throw new Error("inside");
        }),
      ),
    /inside/,
  );
  assert.equal((await run(undefined, "readlink", ["/proc/self/ns/net"])).stdout, before);
});

test("a listener and a connection made in two namespaces meet; local port and peer are as asked", async (t) => {
  const { left, right } = await pair(t);
  const server = createServer((socket) => socket.end(`${socket.remoteAddress}:${socket.remotePort}`));
  server.listen({ fd: tcpListener(right, "10.9.0.2", 8080) });
  t.after(() => server.close());
  const socket = tcpConnect(left, "10.9.0.2", 8080, { port: 40123 });
  socket.setEncoding("utf8");
  const [text] = await once(socket, "data");
  assert.equal(text, "10.9.0.1:40123");
  socket.destroy();
});

test("a connection nobody listens for ends in ECONNREFUSED, as an event", async (t) => {
  const { left } = await pair(t);
  const [error] = await once(tcpConnect(left, "10.9.0.2", 9), "error").catch((cause: unknown) => [cause]);
  assert.equal(error.code, "ECONNREFUSED");
});

test("UDP sockets of two namespaces exchange datagrams", async (t) => {
  const { left, right } = await pair(t);
  const [a, b] = [dgram.createSocket("udp4"), dgram.createSocket("udp4")];
  t.after(() => [a.close(), b.close()]);
  a.bind({ fd: udpSocket(left, "0.0.0.0", 0) });
  b.bind({ fd: udpSocket(right, "10.9.0.2", 53) });
  b.on("message", (text, peer) => b.send(`got ${text.toString()}`, peer.port, peer.address));
  a.send("hello", 53, "10.9.0.2");
  const [answer] = await once(a, "message");
  assert.equal(String(answer), "got hello");
});

test("a busy port, a foreign address and a name are refused with a code", async (t) => {
  const { left } = await pair(t);
  const server = createServer().listen({ fd: tcpListener(left, "0.0.0.0", 0) });
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  assert.throws(() => tcpListener(left, "0.0.0.0", port), { code: "EADDRINUSE" });
  assert.throws(() => tcpListener(left, "10.9.0.77", 80), { code: "EADDRNOTAVAIL" });
  assert.throws(() => tcpListener(left, "localhost", 80), { code: "BadAddress" });
});

test("a failing ip line is named", async (t) => {
  const ns = namespace(t, "a");
  await assert.rejects(
    ipBatch(ns, ["link set lo up", "link set nothing up", "link set lo down"]),
    (error: Error) => {
      assert.match(error.message, /^ip link set nothing up: RTNETLINK answers: no such device/);
      return true;
    },
  );
});

test("sysctls are set in the namespace and not at home; an unknown one is ENOENT", (t) => {
  const ns = namespace(t, "a");
  const key = "net/ipv4/conf/lo/rp_filter";
  const atHome = getSysctl(homeNetNs(), key);
  setSysctls(ns, { [key]: "2" });
  assert.equal(getSysctl(ns, key), "2");
  assert.equal(getSysctl(homeNetNs(), key), atHome);
  assert.throws(() => setSysctls(ns, { "net/ipv4/no_such": "1" }), { code: "ENOENT" });
});

test("routeGet says device, gateway and source, and Unreachable without a route", async (t) => {
  const { left } = await pair(t);
  await ipBatch(left, ["route add 10.20.0.0/16 via 10.9.0.2"]);
  assert.deepEqual(await routeGet(left, "10.20.1.1"), {
    device: "eth0",
    via: "10.9.0.2",
    source: "10.9.0.1",
  });
  await assert.rejects(routeGet(left, "192.0.2.1"), { code: "Unreachable" });
});

test("nft rules load as one transaction, and an error carries nft's message", async (t) => {
  const ns = namespace(t, "a");
  await nft(ns, "add table ip one");
  await assert.rejects(nft(ns, "add table ip two\nadd rule ip two none accept"), {
    code: "NftFailed",
    message: /No such file/,
  });
  assert.equal((await run(ns, "nft", ["list", "tables"])).stdout, "table ip one\n");
});

test("conntrack shows the entry of one connection with its mark", async (t) => {
  const { left, right } = await pair(t);
  await nft(
    left,
    "table ip t { chain c { type filter hook output priority 0; ct state new ct mark set ct mark | 0x100; }; }",
  );
  const server = createServer((socket) => socket.end("x")).listen({ fd: tcpListener(right, "0.0.0.0", 80) });
  t.after(() => server.close());
  const socket = tcpConnect(left, "10.9.0.2", 80, { port: 40200 });
  await once(socket, "data");
  const entries = await conntrack(left, { protocol: "tcp", source: "10.9.0.1", sourcePort: 40200 });
  assert.equal(entries.length, 1);
  assert.equal(entries[0]?.mark, 0x100);
  assert.equal(entries[0].original.destinationPort, 80);
  assert.deepEqual(await conntrack(left, { protocol: "tcp", sourcePort: 1 }), []);
  socket.destroy();
});

test("a missing program names its Debian package if known", () => {
  assert.throws(() => spawnIn(undefined, "no-such-program-x", []), { code: "MissingProgram" });
});

test(
  "a Worker lives in its namespace and is started again when it crashes",
  { timeout: 10_000 },
  async (t) => {
    const { left } = await pair(t);
    const events: WorkerEvent[] = [];
    const seen = Promise.withResolvers<void>();
    const worker = startWorker(new URL("kernel-worker.ts", import.meta.url), {
      ns: left,
      data: () => "hello",
      onEvent: (event) => {
        events.push(event);
        if (event.kind !== "message") return;
        if (events.filter(({ kind }) => kind === "message").length === 1) worker.post("crash");
        else seen.resolve();
      },
    });
    t.after(() => worker.close());
    await seen.promise;
    const messages = events.flatMap((event) => (event.kind === "message" ? [event.value] : []));
    assert.deepEqual(messages, [
      { data: "hello", addresses: ["10.9.0.1"] },
      { data: "hello", addresses: ["10.9.0.1"] },
    ]);
    assert.ok(events.some((event) => event.kind === "crashed" && /told to crash/.test(event.reason)));
  },
);

test("a listener of both families takes IPv4 under a mapped address, and IPv6 as it is", async (t) => {
  await ipBatch(homeNetNs(), ["link set lo up"]);
  const server = createServer((socket) => socket.end(`${socket.remoteAddress}`));
  t.after(() => server.close());
  await once(server.listen({ fd: dualListener(0) }), "listening");
  const { port } = server.address() as AddressInfo;
  for (const [address, seen] of [
    ["127.0.0.1", "::ffff:127.0.0.1"],
    ["::1", "::1"],
  ] as const) {
    const [answer] = await once(tcpConnect(undefined, address, port), "data");
    assert.equal(String(answer), seen);
  }
});

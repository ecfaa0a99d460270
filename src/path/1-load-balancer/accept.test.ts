import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { tcpConnect, tcpListener } from "#kernel";
import { silentLog } from "#lib/log";
import { createAcceptor, type Acceptor } from "./accept.ts";
import type { LoadBalancerPlan } from "./plan.ts";

const key = "203.0.113.128 . tcp . 80";

/** A node on a loopback address of its own; says its name, then gives back what comes. */
async function node(t: TestContext, address: string): Promise<{ address: string; port: number }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.write(`${address}\n`);
    socket.pipe(socket);
  });
  server.listen(0, address);
  await once(server, "listening");
  t.after(() => server.close());
  const bound = server.address();
  assert.ok(bound !== null && typeof bound === "object");
  return { address, port: bound.port };
}

function planOf(nodes: readonly string[], nodePort: number, more: Partial<LoadBalancerPlan> = {}) {
  const candidates = nodes.map((address) => ({ name: `node ${address}`, address, eligible: true }));
  const at = { address: "203.0.113.128", protocol: "TCP", port: 80 } as const;
  const check = { port: 10_256 };
  const proxy = { version: "v1", nodePort } as const;
  const rest = { service: "shop/web", policy: "Cluster", algorithm: "round-robin", check } as const;
  return { ports: [{ ...at, ...rest, proxy, candidates }], nodes: [], gone: [], targets: [], ...more };
}

function acceptor(t: TestContext): Acceptor {
  const made = createAcceptor({
    listen: (address) => tcpListener(undefined, address, 0),
    dial: (address, port) => tcpConnect(undefined, address, port, { allowHalfOpen: true }),
    log: silentLog,
  });
  t.after(() => made.close());
  return made;
}

/** A connection to what the edge accepts at, and the first line that comes. */
async function call(port: number | undefined): Promise<{ socket: Socket; line: string }> {
  const socket = connect(port ?? 0, "127.0.0.1");
  const [line] = await once(socket, "data");
  return { socket, line: String(line).split("\n")[0] ?? "" };
}

test("a node that refuses is passed over for the next one", async (t) => {
  const alive = await node(t, "127.0.0.2");
  const port = acceptor(t)
    .follow(planOf(["127.0.0.3", "127.0.0.2"], alive.port))
    .get(key);
  for (let i = 0; i < 2; i += 1) {
    const { socket, line } = await call(port);
    assert.equal(line, "127.0.0.2");
    socket.destroy();
  }
});

test("where no node accepts, the client is reset", async (t) => {
  const made = acceptor(t);
  const { port } = await node(t, "127.0.0.2");
  const socket = connect(made.follow(planOf(["127.0.0.3"], port)).get(key) ?? 0, "127.0.0.1");
  const [error] = await once(socket, "error");
  assert.equal(error.code, "ECONNRESET");
});

test("connections to a node that is gone are reset; those of a port that goes are not", async (t) => {
  const made = acceptor(t);
  const alive = await node(t, "127.0.0.2");
  const { socket, line } = await call(made.follow(planOf(["127.0.0.2"], alive.port)).get(key));
  assert.equal(line, "127.0.0.2");
  const tuple = { source: "127.0.0.1", sourcePort: socket.localPort ?? 0 };
  const to = { destination: "203.0.113.128", destinationPort: 80 };
  assert.equal(made.nodeOf({ ...tuple, ...to }), "node 127.0.0.2");

  assert.deepEqual([...made.follow({ ports: [], nodes: [], gone: [], targets: [] })], []);
  socket.write("still here");
  const [answer] = await once(socket, "data");
  assert.match(String(answer), /still here|PROXY/);

  const failed = once(socket, "error");
  made.follow({ ports: [], nodes: [], gone: ["node 127.0.0.2"], targets: [] });
  const [error] = await failed;
  assert.equal(error.code, "ECONNRESET");
});

test("the same port of the edge serves an address while its nodes change", async (t) => {
  const made = acceptor(t);
  const alive = await node(t, "127.0.0.2");
  const first = made.follow(planOf(["127.0.0.3"], alive.port)).get(key);
  const second = made.follow(planOf(["127.0.0.2"], alive.port)).get(key);
  assert.equal(first, second);
  const { socket, line } = await call(second);
  assert.equal(line, "127.0.0.2");
  socket.destroy();
});

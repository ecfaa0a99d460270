/** What every UDP transport must do, shown with real datagrams on loopback. */
import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { before, type TestContext, test } from "node:test";
import { Worker } from "node:worker_threads";
import { homeNetNs, ipBatch, openUdpBatch, udpSocket } from "#kernel";
import type { DatagramListen, DatagramPeer, DatagramSocket, OpenDatagrams } from "#lib/datagrams";
import { openDgram } from "#serve/dns";

const transports: Readonly<Record<string, OpenDatagrams>> = { dgram: openDgram, batch: openUdpBatch };
before(() => ipBatch(homeNetNs(), ["link set lo up"]));

const loopback: DatagramListen = { address: "127.0.0.1", port: 0 };

type Receive = (bytes: Uint8Array, from: DatagramPeer, socket: DatagramSocket) => void;

async function serve(
  t: TestContext,
  open: OpenDatagrams,
  receive: Receive,
  listen = loopback,
): Promise<DatagramSocket> {
  const socket: DatagramSocket = await open(listen, (bytes, from) => receive(bytes, from, socket));
  t.after(() => socket.close());
  return socket;
}

async function client(t: TestContext, type: "udp4" | "udp6" = "udp4"): Promise<Socket> {
  const socket = createSocket(type).bind(0, type === "udp4" ? "127.0.0.1" : "::1");
  await once(socket, "listening");
  t.after(() => socket.close());
  return socket;
}

/** The next `count` datagrams that a client receives, as text, sorted. */
function texts(socket: Socket, count: number): Promise<string[]> {
  return new Promise((resolve) => {
    const got: string[] = [];
    const take = (bytes: Buffer): void => {
      got.push(bytes.toString());
      if (got.length < count) return;
      socket.off("message", take);
      resolve(got.sort());
    };
    socket.on("message", take);
  });
}

const echo: Receive = (bytes, from, socket) => socket.send(bytes, from);

for (const [name, open] of Object.entries(transports)) {
  test(`${name}: every datagram is received once, and answered to whoever sent it`, async (t) => {
    const server = await serve(t, open, echo);
    const clients = await Promise.all(Array.from({ length: 5 }, () => client(t)));
    const all = clients.map((socket) => texts(socket, 40));
    for (let i = 0; i < 40; i++) {
      for (const [j, socket] of clients.entries()) socket.send(`${j}-${i}`, server.port, "127.0.0.1");
    }
    for (const [j, got] of (await Promise.all(all)).entries()) {
      assert.deepEqual(got, Array.from({ length: 40 }, (_, i) => `${j}-${i}`).sort());
    }
  });

  test(`${name}: a peer is told by address and port`, async (t) => {
    const seen = Promise.withResolvers<DatagramPeer>();
    const server = await serve(t, open, (_, from) => seen.resolve(from));
    const socket = await client(t);
    socket.send("x", server.port, "127.0.0.1");
    const { address, port } = await seen.promise;
    assert.deepEqual([address, port], ["127.0.0.1", socket.address().port]);
  });

  test(`${name}: IPv6`, async (t) => {
    const seen: string[] = [];
    const receive: Receive = (bytes, from, socket) => {
      seen.push(from.address);
      socket.send(bytes, from);
    };
    const server = await serve(t, open, receive, { address: "::1", port: 0 });
    const socket = await client(t, "udp6");
    const got = texts(socket, 1);
    socket.send("six", server.port, "::1");
    assert.deepEqual([await got, seen], [["six"], ["::1"]]);
  });

  test(`${name}: bytes that were received stay as they are, and answers may come later`, async (t) => {
    const kept: { bytes: Uint8Array; from: DatagramPeer }[] = [];
    const enough = Promise.withResolvers<void>();
    const server = await serve(t, open, (bytes, from) => {
      kept.push({ bytes, from });
      if (kept.length === 100) enough.resolve();
    });
    const socket = await client(t);
    for (let i = 0; i < 100; i++) socket.send(`n${i}`, server.port, "127.0.0.1");
    await enough.promise;
    const got = texts(socket, 100);
    for (const { bytes, from } of kept) server.send(bytes, from);
    assert.deepEqual(await got, Array.from({ length: 100 }, (_, i) => `n${i}`).sort());
  });

  test(`${name}: empty and large datagrams`, async (t) => {
    const server = await serve(t, open, echo);
    const socket = await client(t);
    for (const length of [0, 1, 1232, 9000, 65_507]) {
      const answered = once(socket, "message");
      socket.send(Buffer.alloc(length, "x"), server.port, "127.0.0.1");
      const [bytes] = await answered;
      assert.equal(bytes.length, length);
    }
  });

  test(`${name}: what cannot be sent is lost, and nothing else`, async (t) => {
    const server = await serve(t, open, (bytes, from, socket) => {
      socket.send(Buffer.alloc(65_536), from);
      socket.send(bytes, { address: "127.0.0.1", port: 0 });
      socket.send(bytes, { address: "255.255.255.255", port: 9 });
      socket.send(bytes, from);
    });
    const socket = await client(t);
    const got = texts(socket, 3);
    for (const text of ["a", "b", "c"]) socket.send(text, server.port, "127.0.0.1");
    assert.deepEqual(await got, ["a", "b", "c"]);
  });

  test(`${name}: a peer that is gone does not disturb the others`, async (t) => {
    const server = await serve(t, open, echo);
    const gone = createSocket("udp4").bind(0, "127.0.0.1");
    await once(gone, "listening");
    const { port } = gone.address();
    await new Promise<void>((resolve) => gone.close(() => resolve()));
    for (let i = 0; i < 10; i++) server.send(Buffer.from("?"), { address: "127.0.0.1", port });
    const socket = await client(t);
    const got = texts(socket, 1);
    socket.send("still here", server.port, "127.0.0.1");
    assert.deepEqual(await got, ["still here"]);
  });

  test(`${name}: a socket made elsewhere is taken over`, async (t) => {
    const server = await serve(t, open, echo, { fd: udpSocket(undefined, "127.0.0.1", 0) });
    const socket = await client(t);
    const got = texts(socket, 1);
    socket.send("lent", server.port, "127.0.0.1");
    assert.deepEqual(await got, ["lent"]);
  });

  test(`${name}: closed, it gives its port back and sends no more; closing again changes nothing`, async (t) => {
    const first = await serve(t, open, echo);
    await Promise.all([first.close(), first.close()]);
    first.send(Buffer.from("x"), { address: "127.0.0.1", port: 9 });
    const second = await serve(t, open, echo, { address: "127.0.0.1", port: first.port });
    assert.equal(second.port, first.port);
    const socket = await client(t);
    const got = texts(socket, 1);
    socket.send("again", second.port, "127.0.0.1");
    assert.deepEqual(await got, ["again"]);
  });

  test(`${name}: it can be closed while it receives`, async (t) => {
    const closed = Promise.withResolvers<void>();
    const server = await serve(t, open, (_, __, socket) => void socket.close().then(closed.resolve));
    const socket = await client(t);
    for (let i = 0; i < 200; i++) socket.send("x", server.port, "127.0.0.1");
    await closed.promise;
  });

  test(`${name}: an address that is not here is an error with the system's code`, async (t) => {
    await assert.rejects(serve(t, open, echo, { address: "192.0.2.1", port: 0 }), { code: "EADDRNOTAVAIL" });
  });
}

test("batch: a Worker is refused, since it could not be terminated safely", async () => {
  const script = `import { openUdpBatch } from "#kernel";
    import { parentPort } from "node:worker_threads";
    openUdpBatch({ address: "127.0.0.1", port: 0 }, () => undefined).catch(({ code }) => parentPort.postMessage(code));`;
  const worker = new Worker(
    new URL(
      `data:text/javascript,${encodeURIComponent(script.replace("#kernel", new URL("../../src/kernel/index.ts", import.meta.url).href))}`,
    ),
  );
  assert.deepEqual(await once(worker, "message"), ["NotMainThread"]);
});

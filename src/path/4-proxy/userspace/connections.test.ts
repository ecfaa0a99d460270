/** How connections go through the proxy: what ends, fails, waits or is too much. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { test } from "node:test";
import { createLoopbackNetwork, tcpConnect, tcpListener } from "#kernel";
import { createLog, silentLog } from "#lib/log";
import { freeLoopback } from "../../../../test/support/loopback.ts";
import { planProxy } from "../plan.ts";
import { testSnapshot } from "../testing.ts";
import { userspaceBackend } from "./backend.ts";
import { api, CLUSTER_IP, NODE, pod } from "../contract.ts";
import { counts } from "../../../../test/net/proxy-lab.ts";
import { ask, askMany, lab, type Lab } from "../../../../test/support/userspace-lab.ts";

const [pod1, pod2] = [pod("pod-1"), pod("pod-2")];

function connect(at: Lab): Socket {
  return tcpConnect(at.client, CLUSTER_IP, 80, { allowHalfOpen: true });
}

/** All that comes until the other side's end; our side stays open. */
async function textOf(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk) => (text += chunk.toString()));
  await once(socket, "end");
  return text;
}

test("an endpoint that refuses is passed over, and the log says so", async (t) => {
  const lines: string[] = [];
  const at = await lab(t, [api([pod1, pod2])], { log: createLog("proxy", (line) => lines.push(line)) });
  at.servers.get("pod-1")?.server.close();
  assert.deepEqual(counts(await askMany(at.client, 4)), { "pod-2": 4 });
  assert.ok(lines.some((line) => line.includes("default/api:http/TCP: 1 endpoint(s) did not accept")));
});

test("where no endpoint accepts, the client is reset", async (t) => {
  const at = await lab(t, [api([pod1])]);
  at.servers.get("pod-1")?.server.close();
  assert.equal(await ask(at.client, CLUSTER_IP, 80), "ECONNRESET");
});

test("a client that has sent its end still gets the answer", async (t) => {
  const at = await lab(t, [api([pod1])]);
  const pod = at.servers.get("pod-1");
  assert.ok(pod);
  pod.serve = (socket) => void textOf(socket).then((text) => socket.end(text.toUpperCase()));
  const socket = connect(at);
  socket.end("question");
  assert.equal(await textOf(socket), "QUESTION");
});

test("an endpoint that has sent its end still gets what the client sends", async (t) => {
  const at = await lab(t, [api([pod1])]);
  const pod = at.servers.get("pod-1");
  assert.ok(pod);
  const heard = new Promise<string>((resolve) => {
    pod.serve = (socket) => {
      socket.end("that is all");
      resolve(textOf(socket));
    };
  });
  const socket = connect(at);
  assert.equal(await textOf(socket), "that is all");
  socket.end("and more");
  assert.equal(await heard, "and more");
});

test("a reset of the endpoint reaches the client, not an end that looks like a whole answer", async (t) => {
  const at = await lab(t, [api([pod1])]);
  const pod = at.servers.get("pod-1");
  assert.ok(pod);
  pod.serve = (socket) => socket.write("half", () => socket.resetAndDestroy());
  const socket = connect(at).resume();
  const [error] = await once(socket, "error");
  assert.equal(error.code, "ECONNRESET");
});

test("a client that does not read stops the endpoint that writes", async (t) => {
  const at = await lab(t, [api([pod1])]);
  const pod = at.servers.get("pod-1");
  assert.ok(pod);
  const size = 64 * 1024 * 1024;
  let written = 0;
  const blocked = new Promise<Socket>((resolve) => {
    pod.serve = (socket) => {
      const chunk = Buffer.alloc(1024 * 1024);
      const more = (): void => {
        while (written < size && socket.write(chunk)) written += chunk.length;
        if (written >= size) socket.end();
        else socket.once("drain", more);
      };
      more();
      resolve(socket);
    };
  });
  const socket = connect(at);
  await once(socket, "connect");
  await blocked;
  // As long as it takes buffers to fill: nothing is to happen, so there is nothing to wait for.
  let before = -1;
  while (before !== written) {
    before = written;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.ok(written < size, `${written} bytes were taken of a client that reads nothing`);
  let read = 0;
  for await (const chunk of socket) read += (chunk as Buffer).length;
  assert.ok(read >= size);
});

test("connections go on when their Service and the proxy's listener are gone", async (t) => {
  const at = await lab(t, [api([pod1])]);
  const pod = at.servers.get("pod-1");
  assert.ok(pod);
  pod.serve = (socket) => void textOf(socket).then((text) => socket.end(text.toUpperCase()));
  const socket = connect(at);
  socket.write("quest");
  await once(socket, "connect");
  while ((await at.proxy.connections({ protocol: "tcp" })).length === 0) await new Promise(setImmediate);
  await at.set();
  socket.end("ion");
  assert.equal(await textOf(socket), "QUESTION");
});

test("an ended connection stays in the account, as ended", async (t) => {
  const at = await lab(t, [api([pod1])]);
  await ask(at.client, CLUSTER_IP, 80);
  const account = async () => (await at.proxy.connections({ protocol: "tcp", destination: CLUSTER_IP }))[0];
  while ((await account())?.state !== "CLOSE") await new Promise(setImmediate);
  const entry = await account();
  assert.deepEqual([entry?.original.destination, entry?.original.destinationPort], [CLUSTER_IP, 80]);
  assert.deepEqual([entry?.reply.source, entry?.reply.sourcePort], ["10.244.0.2", 8080]);
});

test("connections beyond the limit are reset, and there is room again when one ends", async (t) => {
  const network = createLoopbackNetwork(freeLoopback(t), () => [
    { name: "node-a", address: NODE, podCIDR: "10.244.0.0/24" },
  ]);
  const place = network.place("node-a", NODE);
  const server = createServer((socket) => socket.on("error", () => undefined).write("here"));
  const pod = network.place("pod-1", "10.244.0.2");
  server.listen({ fd: tcpListener(pod, "0.0.0.0", 8080) });
  const backend = userspaceBackend({ network, place, log: silentLog, limit: 2 });
  await backend.sync(planProxy(testSnapshot(api([pod1])), "node-a"));
  const client = network.place("client", "203.0.113.10");
  const open = (): Socket => tcpConnect(client, CLUSTER_IP, 80);
  const held = [open(), open()];
  t.after(async () => {
    for (const socket of held) socket.destroy();
    server.close();
    await backend.remove();
  });
  await Promise.all(held.map((socket) => once(socket, "data")));
  const refused = open().resume();
  assert.equal((await once(refused, "error"))[0].code, "ECONNRESET");
  held[0]?.destroy();
  while (backend.records.find({ protocol: "tcp" }).filter(({ state }) => state === "ESTABLISHED").length > 1)
    await new Promise(setImmediate);
  held[0] = open();
  assert.equal(String((await once(held[0], "data"))[0]), "here");
});

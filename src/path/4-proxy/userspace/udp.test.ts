import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { test, type TestContext } from "node:test";
import { openFlow, type FlowOptions } from "./udp.ts";

async function server(t: TestContext): Promise<{ socket: Socket; to: FlowOptions["to"] }> {
  const socket = createSocket("udp4");
  const listening = once(socket, "listening");
  socket.bind(0, "127.0.0.1");
  await listening;
  t.after(() => socket.close());
  return { socket, to: { address: "127.0.0.1", port: socket.address().port } };
}

/** A flow from any address, and what happens to it. */
function flowTo(to: FlowOptions["to"], idleMs = 60_000) {
  const ended = Promise.withResolvers<void>();
  const replies: string[] = [];
  const replied = Promise.withResolvers<void>();
  const flow = openFlow({
    fd: undefined,
    to,
    idleMs,
    reply: (bytes) => {
      replies.push(Buffer.from(bytes).toString());
      replied.resolve();
    },
    opened: () => undefined,
    ended: ended.resolve,
  });
  return { flow, replies, replied: replied.promise, ended: ended.promise };
}

test("datagrams that come before the socket is there are sent in their order, and answers come back", async (t) => {
  const { socket, to } = await server(t);
  const { flow, replies, replied } = flowTo(to);
  t.after(() => flow.close());
  for (const text of ["a", "b", "c"]) flow.send(Buffer.from(text));
  let seen = "";
  socket.on("message", (bytes, peer) => {
    seen += bytes.toString();
    if (seen.length === 3) socket.send(seen, peer.port, peer.address);
  });
  await replied;
  assert.deepEqual(replies, ["abc"]);
});

test("a flow that nothing goes through ends, once", async (t) => {
  const { to } = await server(t);
  const { flow, ended } = flowTo(to, 20);
  await ended;
  flow.close();
  flow.send(Buffer.from("late"));
});

test("a flow ends when nobody listens at its endpoint", async () => {
  const gone = createSocket("udp4");
  const listening = once(gone, "listening");
  gone.bind(0, "127.0.0.1");
  await listening;
  const { port } = gone.address();
  await new Promise<void>((closed) => gone.close(closed));
  const { flow, ended } = flowTo({ address: "127.0.0.1", port });
  flow.send(Buffer.from("a"));
  await ended;
});

test("a closed flow takes nothing more, also when it is closed before its socket is there", async (t) => {
  const { to } = await server(t);
  const { flow, ended } = flowTo(to);
  flow.close();
  await ended;
});

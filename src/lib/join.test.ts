import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { join } from "./join.ts";

/** Both ends of a connection; half-open is allowed. */
async function pair(t: TestContext): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection");
  const { port } = server.address() as AddressInfo;
  const near = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const [far] = await accepted;
  server.close();
  t.after(() => [near, far].forEach((socket) => socket.destroy()));
  return [near, far];
}

/** A client and a server whose connections are joined in between. */
async function joined(t: TestContext): Promise<{ client: Socket; server: Socket; over: Promise<void> }> {
  const [client, left] = await pair(t);
  const [right, server] = await pair(t);
  return { client, server, over: join(left, right) };
}

async function textOf(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk) => (text += chunk.toString()));
  await once(socket, "end");
  return text;
}

test("each direction ends by itself, and it is over when both have", async (t) => {
  const { client, server, over } = await joined(t);
  client.end("question");
  assert.equal(await textOf(server), "question");
  server.end("answer");
  assert.equal(await textOf(client), "answer");
  await over;
});

test("a reset of one end is a reset at the other", async (t) => {
  const { client, server, over } = await joined(t);
  const failed = once(server.resume(), "error");
  client.resetAndDestroy();
  assert.equal((await failed)[0].code, "ECONNRESET");
  await over;
});

test("an end that is destroyed without an end of its bytes is a reset at the other", async (t) => {
  const [client, left] = await pair(t);
  const [right, server] = await pair(t);
  const over = join(left, right);
  const failed = once(server.resume(), "error");
  client.on("error", () => undefined);
  left.destroy();
  assert.equal((await failed)[0].code, "ECONNRESET");
  await over;
});

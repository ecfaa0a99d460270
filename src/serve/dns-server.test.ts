import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import { type TestContext, test } from "node:test";
import { silentLog } from "#lib/log";
import {
  createFrameReader,
  decodeMessage,
  encodeMessage,
  formatAnswer,
  frame,
  type Message,
  type ResourceRecord,
} from "#wire/dns";
import type { DnsHandler } from "./dns-answer.ts";
import { startDnsServer, type DnsServerOptions } from "./dns-server.ts";
import { queryBytes } from "./dns-testing.ts";

const loopback = { address: "127.0.0.1", port: 0 };

const queryOf = (name: string, changes: Partial<Message> = {}): Uint8Array => queryBytes(name, 4711, changes);

const address = (name: string, last: number): ResourceRecord => ({
  name,
  ttl: 5,
  type: "A",
  address: `10.244.0.${last}`,
});

/** Answers `N.test.` with N addresses; `slow.` later, `bad.` by failing. */
const handler: DnsHandler = async ({ question }) => {
  if (question.name === "bad.") throw new Error("broken on purpose");
  if (question.name === "slow.") await new Promise((resolve) => setImmediate(resolve));
  const count = Number.parseInt(question.name, 10) || 1;
  const answers = Array.from({ length: count }, (_, i) => address(question.name, i));
  return { rcode: 0, authoritative: true, answers };
};

async function serve(
  t: TestContext,
  options: Partial<DnsServerOptions> = {},
): Promise<{ udp: number; tcp: number }> {
  const server = await startDnsServer({ udp: loopback, tcp: loopback, handler, log: silentLog, ...options });
  t.after(() => server.close());
  return { udp: server.udpPort ?? 0, tcp: server.tcpPort ?? 0 };
}

async function askUdp(port: number, bytes: Uint8Array): Promise<Message> {
  const socket = createSocket("udp4");
  socket.send(bytes, port, "127.0.0.1");
  const [reply] = await once(socket, "message");
  socket.close();
  return decodeMessage(reply);
}

/** Everything the server sends on one connection on which `bytes` were written and the sending side was closed. */
async function askTcp(port: number, bytes: Uint8Array): Promise<Message[]> {
  const socket = connect({ port, host: "127.0.0.1" });
  socket.end(bytes);
  const frames = createFrameReader();
  const messages: Message[] = [];
  for await (const chunk of socket) messages.push(...frames.push(chunk).map(decodeMessage));
  return messages;
}

test("a query by UDP is answered with its id, question and flags", async (t) => {
  const { udp } = await serve(t);
  const reply = await askUdp(udp, queryOf("API.test."));
  assert.deepEqual([reply.id, reply.response, reply.recursionDesired], [4711, true, true]);
  assert.deepEqual(reply.questions, [{ name: "API.test.", type: "A", class: 1 }]);
  assert.deepEqual(formatAnswer(reply), ["NOERROR aa", "API.test. 5 IN A 10.244.0.0"]);
  assert.equal(reply.edns, undefined);
});

test("a large answer by UDP is cut at 512 bytes, at the client's EDNS size, and at 1232", async (t) => {
  const { udp } = await serve(t);
  for (const [udpSize, count] of [
    [undefined, 30],
    [800, 47],
    [9000, 74],
    [12, 29],
  ] as const) {
    const edns = udpSize === undefined ? {} : { edns: { udpSize, version: 0, dnssecOk: false } };
    const reply = await askUdp(udp, queryOf("200.test.", edns));
    assert.deepEqual([reply.truncated, reply.answers.length], [true, count]);
    assert.equal(reply.edns?.udpSize, udpSize === undefined ? undefined : 1232);
  }
});

test("the same large answer is whole by TCP", async (t) => {
  const { tcp } = await serve(t);
  const [reply] = await askTcp(tcp, frame(queryOf("200.test.")));
  assert.deepEqual([reply?.truncated, reply?.answers.length], [false, 200]);
});

test("pipelined queries on one connection are all answered, a slow one does not hold up the others", async (t) => {
  const { tcp } = await serve(t);
  const queries = ["slow.", ...Array.from({ length: 300 }, (_, i) => `${i + 1}.test.`)];
  const bytes = queries.map((name, id) => frame(queryOf(name, { id })));
  const replies = await askTcp(tcp, Buffer.concat(bytes));
  assert.deepEqual(
    replies.map((reply) => reply.id).sort((a, b) => a - b),
    [...queries.keys()],
  );
  assert.notEqual(replies[0]?.id, 0);
});

test("a query that arrives byte by byte is answered", async (t) => {
  const { tcp } = await serve(t);
  const socket = connect({ port: tcp, host: "127.0.0.1", noDelay: true });
  for (const byte of frame(queryOf("1.test."))) {
    await new Promise((resolve) => socket.write(Uint8Array.of(byte), resolve));
  }
  const [chunk] = await once(socket, "data");
  socket.destroy();
  assert.equal(createFrameReader().push(chunk).length, 1);
});

test("bad queries get the response code for what is wrong with them", async (t) => {
  const { udp } = await serve(t);
  const question = { name: "1.test.", type: "A", class: 1 };
  const cases: readonly (readonly [string, Uint8Array])[] = [
    ["SERVFAIL", queryOf("bad.")],
    ["FORMERR", queryOf("1.test.", { questions: [] })],
    ["FORMERR", queryOf("1.test.", { questions: [question, question] })],
    ["FORMERR", queryOf("1.test.").subarray(0, 20)],
    ["NOTIMP", queryOf("1.test.", { opcode: 4 })],
    ["REFUSED", queryOf("1.test.", { questions: [{ ...question, class: 3 }] })],
    ["BADVERS", queryOf("1.test.", { edns: { udpSize: 512, version: 1, dnssecOk: false } })],
  ];
  for (const [code, bytes] of cases) {
    const reply = await askUdp(udp, bytes);
    assert.deepEqual([formatAnswer(reply)[0], reply.id], [code, 4711]);
  }
});

test("responses and bytes without a header are not answered, and the server lives on", async (t) => {
  const { udp, tcp } = await serve(t);
  const socket = createSocket("udp4");
  const replies: Message[] = [];
  socket.on("message", (bytes) => replies.push(decodeMessage(bytes)));
  for (const bytes of [Uint8Array.of(1, 2), queryOf("1.test.", { response: true })]) {
    socket.send(bytes, udp, "127.0.0.1");
  }
  socket.send(queryOf("2.test."), udp, "127.0.0.1");
  await once(socket, "message");
  socket.close();
  assert.equal(replies.length, 1);
  assert.deepEqual(await askTcp(tcp, Uint8Array.of(0, 2, 1, 2)), []);
});

test("a handler may answer with bytes; too long for UDP, they become TC", async (t) => {
  const { udp, tcp } = await serve(t, {
    handler: ({ message, question }) =>
      encodeMessage({
        ...message,
        response: true,
        rcode: 0,
        answers: Array.from({ length: 99 }, (_, i) => address(question.name, i)),
      }),
  });
  const reply = await askUdp(udp, queryOf("big.test."));
  assert.deepEqual([reply.truncated, reply.answers.length], [true, 0]);
  const [whole] = await askTcp(tcp, frame(queryOf("big.test.")));
  assert.equal(whole?.answers.length, 99);
});

test("an idle connection is closed, and so is one beyond the limit", async (t) => {
  const { tcp } = await serve(t, { idleMs: 50, maxConnections: 1 });
  const first = connect({ port: tcp, host: "127.0.0.1" });
  await once(first, "connect");
  const closed = once(first.resume(), "close");
  const second = connect({ port: tcp, host: "127.0.0.1" });
  second.on("error", () => undefined);
  await once(second.resume(), "close");
  await closed;
});

test("a busy port is reported, and the other socket is given back", async (t) => {
  const { tcp } = await serve(t);
  const options = { udp: loopback, tcp: { ...loopback, port: tcp }, handler, log: silentLog };
  await assert.rejects(startDnsServer(options), { code: "EADDRINUSE" });
});

/** The protocol core without sockets: what it does with bytes and events, call by call. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { InroadError } from "#lib/errors";
import { createMetrics } from "../metrics.ts";
import { decide, reachOf } from "../plan.ts";
import { createRecordRing } from "../records.ts";
import { snapshotOf, testPod } from "../testing.ts";
import { ClientConnection } from "./connection.ts";
import type { EngineContext, Pipe, UpstreamEvents } from "./context.ts";
import { defaultLimits } from "./limits.ts";
import type { Resolution } from "./resolve-cache.ts";

const snapshot = snapshotOf(
  [
    { name: "app", port: 80 },
    { name: "empty", port: 81, ready: false },
  ],
  [
    { host: "app.test", path: "/", backend: "app" },
    { host: "app.test", path: "/empty", backend: "empty" },
  ],
);
const get = "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n";
const ok = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\n\r\nok";
const resolution: Resolution = { address: "10.96.1.1", ttl: 30, answer: "A 10.96.1.1" };
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A connection on pipes that note every call: `client< ...` is written to the client, `up1 pause` is a call. */
function bench(resolve: () => Resolution | Promise<Resolution> = () => resolution) {
  const calls: string[] = [];
  const timers: number[] = [];
  const upstreams: UpstreamEvents[] = [];
  const full = new Set<string>();
  const pipe = (name: string): Pipe => ({
    write: (data) => {
      calls.push(`${name}< ${String(data)}`);
      return !full.has(name);
    },
    pause: () => void calls.push(`${name} pause`),
    resume: () => void calls.push(`${name} resume`),
    end: () => void calls.push(`${name} end`),
    close: () => void calls.push(`${name} close`),
    abort: () => void calls.push(`${name} abort`),
  });
  const context: EngineContext = {
    limits: defaultLimits,
    records: createRecordRing(100),
    metrics: createMetrics(),
    stopping: () => false,
    decide: (host, path) => decide(snapshot, host, path),
    resolve,
    forget: (name) => void calls.push(`forget ${name}`),
    reach: (decision) => reachOf(snapshot, decision, testPod),
    dial: (address, port, events) => {
      upstreams.push(events);
      const name = `up${upstreams.length}`;
      calls.push(`${name} dial ${address}:${port}`);
      return { ...pipe(name), local: () => local, release: () => void calls.push(`${name} release`) };
    },
    now: () => 0,
    date: () => new Date(0),
    newRequestId: () => "0".repeat(32),
  };
  const peer = { address: "203.0.113.10", port: 4000, localPort: 80, secure: false, serverName: undefined };
  const connection = new ClientConnection(context, peer, pipe("client"), (ms) => timers.push(ms));
  return {
    connection,
    context,
    full,
    timers,
    /** The calls since the last look. */
    calls: () => calls.splice(0),
    send: (text: string) => connection.bytes(Buffer.from(text)),
    up: (number = upstreams.length): UpstreamEvents => {
      const events = upstreams[number - 1];
      assert.ok(events, `connection ${number} to the Service was opened`);
      return events;
    },
  };
}

const statusOf = (calls: readonly string[]): string | undefined =>
  calls.map((call) => /^client< HTTP\/1\.1 (\d+)/.exec(call)?.[1]).find((status) => status !== undefined);
const local = { address: "10.244.0.3", port: 5000 };

test("a request opens a connection, and its answer lets it go", () => {
  const { send, up, calls } = bench();
  send(get);
  assert.deepEqual(calls(), ["up1 dial 10.96.1.1:80"]);
  up().connected(local);
  const [head, ...none] = calls();
  assert.deepEqual(none, []);
  assert.match(head ?? "", /^up1< GET \/ HTTP\/1.1\r\nHost: app.test\r\n/);
  assert.match(head ?? "", /\r\nX-Real-IP: 203.0.113.10\r\n/);
  up().bytes(Buffer.from(ok));
  assert.deepEqual(calls(), [
    "client< HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\n\r\n",
    "client< ok",
    "up1 release",
  ]);
});

test("a pipelined request waits, unread, until the answer before it is complete", () => {
  const { send, up, calls } = bench();
  send(get + get.replace("/ ", "/second "));
  assert.deepEqual(calls(), ["up1 dial 10.96.1.1:80", "client pause"]);
  up().connected(local);
  calls();
  up().bytes(Buffer.from(ok));
  const after = calls();
  assert.deepEqual(after.slice(-2), ["up2 dial 10.96.1.1:80", "client resume"]);
  up(2).connected(local);
  assert.match(calls().join(), /up2< GET \/second /);
});

test("a refused connection is tried again while endpoints exist, then it is 502", () => {
  const { send, up, calls } = bench();
  send(get);
  up(1).closed("ECONNREFUSED");
  up(2).closed("ECONNREFUSED");
  assert.equal(statusOf(calls()), undefined);
  up(3).closed("ECONNREFUSED");
  assert.equal(statusOf(calls()), "502");
});

test("a second attempt that succeeds is all the client sees", () => {
  const { send, up, calls, context } = bench();
  send(get);
  up(1).closed("ECONNREFUSED");
  up(2).connected(local);
  up(2).bytes(Buffer.from(ok));
  assert.equal(statusOf(calls()), "200");
  assert.equal(context.records.list()[0]?.upstream?.attempts, 2);
});

test("a refused connection without endpoints is 503 at once", () => {
  const { send, up, calls } = bench();
  send(get.replace("/ ", "/empty "));
  up(1).closed("ECONNREFUSED");
  assert.equal(statusOf(calls()), "503");
});

for (const [what, error, status] of [
  ["a name that does not exist", new InroadError("NameNotFound", "no such name"), "503"],
  ["a resolver that fails", new Error("SERVFAIL"), "502"],
] as const) {
  test(`${what} is ${status}`, async () => {
    const { send, calls } = bench(() => Promise.reject(error));
    send(get);
    await tick();
    assert.equal(statusOf(calls()), status);
  });
}

test("time runs out as 504 while resolving, connecting and waiting", async () => {
  const resolving = bench(() => new Promise<Resolution>(() => undefined));
  resolving.send(get);
  resolving.connection.timeout();
  assert.equal(statusOf(resolving.calls()), "504");

  // A node sends few ICMP errors per second, so a rejected connection may only time out.
  const rejected = bench();
  rejected.send(get.replace("/ ", "/empty "));
  rejected.connection.timeout();
  assert.equal(statusOf(rejected.calls()), "503");

  const connecting = bench();
  connecting.send(get);
  connecting.connection.timeout();
  const calls = connecting.calls();
  assert.equal(statusOf(calls), "504");
  assert.ok(calls.includes("up1 abort"));
  const [record] = connecting.context.records.find("0".repeat(32));
  assert.equal(record?.upstream?.localPort, local.port);
  assert.match(record.error ?? "", /^connecting to \S+ took too long$/);

  const waiting = bench();
  waiting.send(get);
  waiting.up().connected(local);
  waiting.connection.timeout();
  assert.equal(statusOf(waiting.calls()), "504");
});

test("an answer that comes after its request was given up changes nothing", async () => {
  const late = Promise.withResolvers<Resolution>();
  const { send, connection, calls } = bench(() => late.promise);
  send(get);
  connection.timeout();
  calls();
  late.resolve(resolution);
  await tick();
  assert.deepEqual(calls(), []);
});

test("the timer follows the request: head, connect, answer, keep-alive", () => {
  const { send, up, timers } = bench();
  send(get);
  up().connected(local);
  up().bytes(Buffer.from(ok));
  const { headMs, connectMs, responseHeadMs, idleMs, keepAliveMs } = defaultLimits;
  assert.deepEqual(
    [...new Set(timers)],
    [headMs, connectMs, responseHeadMs, ...(idleMs === responseHeadMs ? [] : [idleMs]), keepAliveMs],
  );
});

test("a full client pauses the upstream until it has drained", () => {
  const { send, up, calls, full, connection } = bench();
  send(get);
  up().connected(local);
  calls();
  full.add("client");
  up().bytes(Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome"));
  assert.ok(calls().includes("up1 pause"));
  connection.drained();
  assert.deepEqual(calls(), ["up1 resume"]);
});

test("a body waits, unread, until there is a connection; a full upstream pauses the client", () => {
  const { send, up, calls, full } = bench();
  send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 10\r\n\r\nhello");
  assert.deepEqual(calls(), ["up1 dial 10.96.1.1:80", "client pause"]);
  full.add("up1");
  up().connected(local);
  assert.equal(calls().length, 1, "only the head: the upstream is full");
  full.delete("up1");
  up().drained();
  assert.deepEqual(calls(), ["up1< hello", "client resume"]);
  full.add("up1");
  send("worl");
  assert.deepEqual(calls(), ["up1< worl", "client pause"]);
});

test("a small body is read to its end after an answer of our own, and the connection is kept", () => {
  const { send, calls } = bench();
  send("POST / HTTP/1.1\r\nHost: other.test\r\nContent-Length: 10\r\n\r\nhello");
  const answer = calls();
  assert.equal(statusOf(answer), "404");
  assert.doesNotMatch(answer.join(), /Connection: close/);
  send("worldGET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
  assert.equal(statusOf(calls()), "404");
});

test("a body that may never come ends the connection after an answer of our own", () => {
  const { send, calls } = bench();
  send("POST / HTTP/1.1\r\nHost: other.test\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n");
  const answer = calls();
  assert.match(answer.join(), /404[^]*Connection: close/);
  assert.ok(answer.includes("client end"));
  send("GET /again HTTP/1.1\r\nHost: other.test\r\n\r\n");
  assert.deepEqual(calls(), []);
});

test("a client that goes away aborts the upstream, recorded as 499", () => {
  const { send, up, calls, connection, context } = bench();
  send(get);
  up().connected(local);
  connection.closed();
  assert.ok(calls().includes("up1 abort"));
  assert.equal(context.records.list()[0]?.status, 499);
});

test("an answer cut off by its backend breaks the client's connection instead of ending it", () => {
  const { send, up, calls } = bench();
  send(get);
  up().connected(local);
  up().bytes(Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome"));
  calls();
  up().ended();
  assert.deepEqual(calls(), ["up1 abort", "client abort"]);
});

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, request, Agent, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { selfSigned } from "../testing-certificate.ts";
import { rawBackend, rawClient, snapshotOf, startTestIngress, type TestIngress } from "../testing.ts";
import type { EngineLimits } from "./limits.ts";

const defaultCertificate = await selfSigned("default.test");

/** A node:http backend: `/echo` sends the body back, `/length` tells its size and hash, all else tells what came. */
function echoServer(): Server {
  return createServer((req, res) => {
    if (req.url?.startsWith("/echo")) {
      req.pipe(res);
      return;
    }
    if (req.url?.startsWith("/big")) {
      res.writeHead(200, { "content-length": big.length });
      res.end(big);
      return;
    }
    const hash = createHash("sha256");
    let size = 0;
    req.on("data", (chunk: Buffer) => {
      size += chunk.length;
      hash.update(chunk);
    });
    req.on("end", () => {
      const seen = {
        method: req.method,
        url: req.url,
        headers: req.headers,
        size,
        sha256: hash.digest("hex"),
      };
      res.end(JSON.stringify(seen));
    });
  });
}

/** A backend that gives this answer to the first bytes of each connection. */
const answer =
  (text: string) =>
  (socket: Socket): void => {
    socket.once("data", () => socket.end(text));
  };

const big = randomBytes(3 * 1024 * 1024);

async function listening(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

interface Reply {
  readonly response: IncomingMessage;
  readonly body: Buffer;
}

interface Call {
  readonly port: number;
  readonly host?: string;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: Buffer;
  readonly chunked?: boolean;
  readonly agent?: Agent;
}

async function call({
  port,
  host = "app.test",
  path = "/",
  method = "GET",
  headers,
  body,
  chunked,
  agent,
}: Call): Promise<Reply> {
  const sized = body === undefined || chunked === true ? {} : { "content-length": body.length };
  const req = request({
    port,
    host: "127.0.0.1",
    path,
    method,
    agent: agent ?? false,
    headers: { ...sized, ...headers, host },
  });
  const answered = once(req, "response") as Promise<[IncomingMessage]>;
  for (let at = 0; at < (body?.length ?? 0); at += 65_536) req.write(body?.subarray(at, at + 65_536));
  req.end();
  const [response] = await answered;
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { response, body: Buffer.concat(chunks) };
}

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly size: number;
  readonly sha256: string;
}

function seen(reply: Reply): Seen {
  return JSON.parse(reply.body.toString()) as Seen;
}

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

describe("the ingress in front of a well-behaved backend", () => {
  const backend = echoServer();
  let ingress: TestIngress;

  before(async () => {
    const port = await listening(backend);
    const routes = [
      { host: "app.test", path: "/", backend: "app" },
      { host: "app.test", path: "/empty", backend: "empty" },
      { host: "app.test", path: "/refusing", backend: "refusing" },
      { host: "app.test", path: "/gone", backend: "gone" },
    ];
    const backends = [
      { name: "app", port },
      { name: "empty", port: 1, ready: false },
      { name: "refusing", port: 1 },
    ];
    ingress = await startTestIngress(snapshotOf(backends, routes), { defaultCertificate });
  });
  after(async () => {
    await ingress.close();
    backend.closeAllConnections();
    backend.close();
  });

  test("a request reaches the Service with the client's method, target and headers", async () => {
    const reply = await call({ port: ingress.http, path: "/a/b?c=d", headers: { "x-color": "blue" } });
    assert.equal(reply.response.statusCode, 200);
    const { method, url, headers } = seen(reply);
    assert.deepEqual(
      [method, url, headers["x-color"], headers["host"]],
      ["GET", "/a/b?c=d", "blue", "app.test"],
    );
  });

  test("forwarding headers say what the connection proves, never what the client claims", async () => {
    const headers = {
      "x-forwarded-for": "1.2.3.4",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "evil.test",
      "x-forwarded-anything": "1",
      "x-real-ip": "1.2.3.4",
      x_real_ip: "1.2.3.4",
      forwarded: "for=1.2.3.4",
    };
    const got = seen(await call({ port: ingress.http, headers })).headers;
    assert.equal(got["x-forwarded-for"], "127.0.0.1");
    assert.equal(got["x-real-ip"], "127.0.0.1");
    assert.equal(got["x-forwarded-proto"], "http");
    assert.equal(got["x-forwarded-host"], "app.test");
    assert.equal(got["x-forwarded-port"], String(ingress.http));
    for (const name of ["forwarded", "x_real_ip", "x-forwarded-anything"])
      assert.equal(got[name], undefined, name);
  });

  test("a sane X-Request-ID is kept, another one replaced by 32 hexadecimal digits", async () => {
    const kept = await call({ port: ingress.http, headers: { "x-request-id": "trace-1.a" } });
    assert.equal(seen(kept).headers["x-request-id"], "trace-1.a");
    for (const id of ["two words", "x".repeat(200), ""]) {
      const made = await call({ port: ingress.http, headers: { "x-request-id": id } });
      assert.match(seen(made).headers["x-request-id"] ?? "", /^[0-9a-f]{32}$/, JSON.stringify(id));
    }
  });

  test("hop-by-hop fields and those named by Connection do not reach the backend", async () => {
    const headers = {
      connection: "keep-alive, X-Secret",
      "x-secret": "1",
      "keep-alive": "timeout=5",
      te: "trailers",
      "proxy-connection": "keep-alive",
      "x-kept": "1",
    };
    const got = seen(await call({ port: ingress.http, headers })).headers;
    for (const name of ["x-secret", "keep-alive", "te", "proxy-connection"])
      assert.equal(got[name], undefined, name);
    assert.equal(got["connection"], "close");
    assert.equal(got["x-kept"], "1");
  });

  for (const chunked of [false, true]) {
    test(`a body of 3 MiB arrives whole, ${chunked ? "chunked" : "with a length"}`, async () => {
      const body = randomBytes(3 * 1024 * 1024);
      const reply = await call({ port: ingress.http, method: "POST", body, chunked });
      assert.deepEqual([seen(reply).size, seen(reply).sha256], [body.length, sha256(body)]);
    });

    test(`3 MiB come back while they are still being sent, ${chunked ? "chunked" : "with a length"}`, async () => {
      const body = randomBytes(3 * 1024 * 1024);
      const reply = await call({ port: ingress.http, method: "PUT", path: "/echo", body, chunked });
      assert.equal(sha256(reply.body), sha256(body));
    });
  }

  test("an answer of 3 MiB with a length arrives whole", async () => {
    const reply = await call({ port: ingress.http, path: "/big" });
    assert.equal(reply.response.headers["content-length"], String(big.length));
    assert.equal(sha256(reply.body), sha256(big));
  });

  test("HEAD has the length of the answer and no body", async () => {
    const client = await rawClient(ingress.http, "HEAD /big HTTP/1.1\r\nHost: app.test\r\n\r\n");
    const text = await client.until((received) => received.includes("\r\n\r\n"));
    assert.match(text, /^HTTP\/1.1 200 OK\r\n/);
    assert.match(text, new RegExp(`content-length: ${big.length}\r\n`, "i"));
    client.socket.write("GET /next HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n");
    const all = await client.end();
    assert.match(all.slice(text.length), /^HTTP\/1.1 200 OK\r\n/, "the connection is still in step");
  });

  test("one client connection carries many requests, each over a new upstream connection", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    let connections = 0;
    backend.on("connection", () => connections++);
    const locals = new Set<number | undefined>();
    for (let i = 0; i < 5; i++) {
      const { response } = await call({ port: ingress.http, agent });
      locals.add(response.socket?.localPort);
    }
    agent.destroy();
    assert.equal(locals.size, 1);
    assert.equal(connections, 5);
  });

  test("pipelined requests are answered in order, whatever their backends take", async () => {
    const heads = Array.from({ length: 20 }, (_, i) => {
      const body = i % 3 === 0 ? `Content-Length: 3\r\n\r\nabc` : "\r\n";
      return `${i % 3 === 0 ? "POST" : "GET"} /${i % 2 === 0 ? "" : "gone/"}${i} HTTP/1.1\r\nHost: app.test\r\n${body}`;
    });
    heads.push("GET /last HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n");
    const client = await rawClient(ingress.http, heads.join(""));
    const text = await client.end();
    // 503 comes from the ingress itself, at once; the others from the backend.
    const statuses = [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((found) => found[1]);
    const expected = heads.map((_, i) => (i < 20 && i % 2 === 1 ? "503" : "200"));
    assert.deepEqual(statuses, expected);
    const urls = [...text.matchAll(/"url":"([^"]+)"/g)].map((found) => found[1]);
    assert.deepEqual(urls, [...Array.from({ length: 10 }, (_, i) => `/${i * 2}`), "/last"]);
  });

  test("a client that ended its sending side still gets its answer", async () => {
    const client = await rawClient(ingress.http);
    client.socket.end("GET /half HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert.match(await client.end(), /"url":"\/half"/);
  });

  test("HTTP/1.0 without a length gets the body up to the end of the connection", async () => {
    const client = await rawClient(
      ingress.http,
      "POST /echo HTTP/1.0\r\nHost: app.test\r\nContent-Length: 5\r\n\r\nhello",
    );
    const text = await client.end();
    assert.match(text, /Connection: close\r\n/);
    assert.doesNotMatch(text, /Transfer-Encoding/i);
    assert.ok(text.endsWith("\r\n\r\nhello"));
  });

  test("an absolute target replaces Host and goes on in origin form", async () => {
    const client = await rawClient(
      ingress.http,
      "GET http://app.test/x?y HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n",
    );
    const text = await client.end();
    assert.match(text, /"url":"\/x\?y"/);
    assert.match(text, /"host":"app.test"/);
  });

  test("OPTIONS * is answered by the ingress", async () => {
    const client = await rawClient(
      ingress.http,
      "OPTIONS * HTTP/1.1\r\nHost: any.test\r\nConnection: close\r\n\r\n",
    );
    assert.match(await client.end(), /^HTTP\/1.1 200 OK\r\n/);
  });

  for (const [what, request, status, words] of [
    ["an unknown host", "GET / HTTP/1.1\r\nHost: other.test\r\n", 404, "nothing is served"],
    ["a Service without endpoints", "GET /empty HTTP/1.1\r\nHost: app.test\r\n", 503, "no ready endpoints"],
    ["a Service that does not exist", "GET /gone HTTP/1.1\r\nHost: app.test\r\n", 503, "not available"],
    ["a refused connection", "GET /refusing HTTP/1.1\r\nHost: app.test\r\n", 502, "did not accept"],
    ["no Host", "GET / HTTP/1.1\r\n", 400, "no Host"],
    ["two Hosts", "GET / HTTP/1.1\r\nHost: app.test\r\nHost: app.test\r\n", 400, "more than one Host"],
    [
      "two ways of framing",
      "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n",
      400,
      "both",
    ],
    ["HTTP/2", "GET / HTTP/2.0\r\n", 505, "only HTTP/1"],
    ["CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n", 501, "CONNECT"],
    ["a long target", `GET /${"a".repeat(9000)} HTTP/1.1\r\n`, 414, "too long"],
    ["a large head", `GET / HTTP/1.1\r\nHost: a\r\nX: ${"a".repeat(20_000)}\r\n`, 431, "too large"],
    ["an unknown expectation", "GET / HTTP/1.1\r\nHost: app.test\r\nExpect: tea\r\n", 417, "expectation"],
  ] as const) {
    test(`${what} is answered ${status} with a reason`, async () => {
      const client = await rawClient(ingress.http);
      client.socket.end(`${request}\r\n`);
      const text = await client.end();
      assert.match(text, new RegExp(`^HTTP/1.1 ${status} `));
      assert.ok(text.includes(words), text);
      assert.doesNotMatch(text, /127\.0\.0\.1|refusing|svc\.cluster/);
    });
  }

  test("a broken chunk ends the connection and never becomes a request", async () => {
    const head = "POST /echo HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    const client = await rawClient(
      ingress.http,
      `${head}3\r\nabcX\r\nGET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n`,
    );
    const text = await client.end().catch(() => client.received());
    assert.doesNotMatch(text, /smuggled/);
  });
});

describe("the ingress in front of peculiar backends", () => {
  const raw: Awaited<ReturnType<typeof rawBackend>>[] = [];
  const ingresses: TestIngress[] = [];
  after(async () => {
    for (const ingress of ingresses) await ingress.close();
    for (const { server } of raw) server.close();
  });

  async function inFrontOf(
    serve: Parameters<typeof rawBackend>[0],
    limits: Partial<EngineLimits> = {},
  ): Promise<TestIngress> {
    const backend = await rawBackend(serve);
    raw.push(backend);
    const snapshot = snapshotOf(
      [{ name: "app", port: backend.port }],
      [{ host: "app.test", path: "/", backend: "app" }],
    );
    const ingress = await startTestIngress(snapshot, {
      defaultCertificate,
      limits: { drainMs: 500, ...limits },
    });
    ingresses.push(ingress);
    return ingress;
  }

  const get = "GET / HTTP/1.1\r\nHost: app.test\r\n";
  const get10 = "GET / HTTP/1.0\r\nHost: app.test\r\n\r\n";
  const lastGet = `${get}Connection: close\r\n\r\n`;

  for (const [what, text, expected] of [
    ["no length", "HTTP/1.1 200 OK\r\n\r\nhello", "5\r\nhello\r\n0\r\n\r\n"],
    ["HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nhello", "5\r\nhello\r\n0\r\n\r\n"],
    [
      "chunks and extensions",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-End: 1\r\n\r\n",
      "5\r\nhello\r\n0\r\nX-End: 1\r\n\r\n",
    ],
    [
      "an interim answer before",
      "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
      "\r\n\r\nok",
    ],
    ["no reason phrase", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", "\r\n\r\nok"],
    ["204", "HTTP/1.1 204 No Content\r\n\r\n", "\r\n\r\n"],
    ["304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", "\r\n\r\n"],
  ] as const) {
    test(`an answer with ${what} is framed for the client`, async () => {
      const ingress = await inFrontOf(answer(text));
      const client = await rawClient(ingress.http, lastGet);
      const got = await client.end();
      assert.ok(got.endsWith(expected), got);
      assert.match(got, /\r\nDate: [^\r]+ GMT\r\n/, "a Date is added where there is none");
    });
  }

  test("chunks are taken apart for an HTTP/1.0 client", async () => {
    const ingress = await inFrontOf(
      answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"),
    );
    const client = await rawClient(ingress.http, get10);
    assert.ok((await client.end()).endsWith("\r\n\r\nhello"));
  });

  for (const [what, text] of [
    ["is no HTTP", "SSH-2.0-OpenSSH\r\n"],
    ["has two framings", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc"],
    ["has two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"],
    ["has a bare LF", "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc"],
    ["is empty", ""],
    [
      "switches protocols unasked",
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    ],
  ] as const) {
    test(`an answer that ${what} becomes 502`, async () => {
      const ingress = await inFrontOf(answer(text));
      const client = await rawClient(ingress.http, lastGet);
      assert.match(await client.end(), /^HTTP\/1.1 502 Bad Gateway\r\n/);
    });
  }

  test("a reset before the answer becomes 502", async () => {
    const ingress = await inFrontOf((socket) => socket.once("data", () => socket.resetAndDestroy()));
    const client = await rawClient(ingress.http, lastGet);
    assert.match(await client.end(), /^HTTP\/1.1 502 /);
  });

  for (const [what, text, request] of [
    ["a length", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart", lastGet],
    ["chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n", lastGet],
    ["chunks, to HTTP/1.0", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n", get10],
  ] as const) {
    test(`an answer cut off inside ${what} cannot be taken for complete`, async () => {
      const ingress = await inFrontOf(answer(text));
      const client = await rawClient(ingress.http, request);
      let reset = false;
      client.socket.on("error", () => (reset = true));
      const got = await client.end();
      assert.ok(reset, "the client's connection is reset");
      assert.doesNotMatch(got, /0\r\n\r\n$/);
    });
  }

  test("no answer within the limit becomes 504", async () => {
    const ingress = await inFrontOf((socket) => socket.resume(), { responseHeadMs: 80 });
    const client = await rawClient(ingress.http, lastGet);
    assert.match(await client.end(), /^HTTP\/1.1 504 Gateway Timeout\r\n/);
  });

  test("a request head that does not end within the limit becomes 408", async () => {
    const ingress = await inFrontOf((socket) => socket.resume(), { headMs: 80 });
    const client = await rawClient(ingress.http, "GET / HTTP/1.1\r\nHo");
    assert.match(await client.end(), /^HTTP\/1.1 408 /);
  });

  test("slow bytes do not extend the time for a request head", async () => {
    const ingress = await inFrontOf((socket) => socket.resume(), { headMs: 150 });
    const client = await rawClient(ingress.http, "GET / HTTP/1.1\r\n");
    const drip = setInterval(() => client.socket.write("X-A: b\r\n"), 20);
    const text = await client.end();
    clearInterval(drip);
    assert.match(text, /^HTTP\/1.1 408 /);
  });

  test("a request body that stalls becomes 408", async () => {
    const ingress = await inFrontOf((socket) => socket.resume(), { idleMs: 80 });
    const client = await rawClient(
      ingress.http,
      "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 10\r\n\r\nabc",
    );
    assert.match(await client.end(), /^HTTP\/1.1 408 /);
  });

  test("an idle connection is closed without a word", async () => {
    const ingress = await inFrontOf(answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), {
      keepAliveMs: 80,
    });
    const client = await rawClient(ingress.http, `${get}\r\n`);
    assert.ok((await client.end()).endsWith("\r\n\r\nok"));
  });

  test("a body above the limit becomes 413, declared or streamed", async () => {
    const ingress = await inFrontOf((socket) => socket.resume(), { requestBodyBytes: 10 });
    const declared = await rawClient(
      ingress.http,
      "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 11\r\n\r\n",
    );
    assert.match(await declared.end(), /^HTTP\/1.1 413 /);
    const streamed = await rawClient(
      ingress.http,
      "POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n",
    );
    assert.match(await streamed.end(), /^HTTP\/1.1 413 /);
  });

  test("100 Continue comes from the backend, then the body goes", async () => {
    let received = "";
    const ingress = await inFrontOf((socket) => {
      socket.on("data", (chunk: Buffer) => {
        const first = received === "";
        received += chunk.toString();
        if (first) socket.write("HTTP/1.1 100 Continue\r\n\r\n");
        if (received.endsWith("hello")) socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      });
    });
    const head =
      "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
    const client = await rawClient(ingress.http, head);
    await client.until((text) => text === "HTTP/1.1 100 Continue\r\n\r\n");
    assert.match(received, /Expect: 100-continue\r\n/);
    client.socket.write("hello");
    assert.match(await client.end(), /HTTP\/1.1 200 OK\r\n.*ok$/s);
  });

  test("an early answer reaches the client that is still sending, and the connection ends", async () => {
    const ingress = await inFrontOf((socket) => {
      socket.once("data", () => socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"));
    });
    const client = await rawClient(
      ingress.http,
      "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 100000000\r\n\r\n",
    );
    client.socket.write(Buffer.alloc(100_000));
    const text = await client.end();
    assert.match(text, /^HTTP\/1.1 413 Too Large\r\n/);
    assert.match(text, /Connection: close\r\n/);
    assert.ok(text.endsWith("no"));
  });

  test("a client that goes away ends the upstream connection", async () => {
    const closed = Promise.withResolvers<void>();
    const ingress = await inFrontOf((socket) => {
      socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\n\r\nfirst"));
      socket.on("close", () => closed.resolve());
    });
    const client = await rawClient(ingress.http, `${get}\r\n`);
    await client.until((text) => text.includes("first"));
    client.socket.resetAndDestroy();
    await closed.promise;
  });

  test("a slow reader holds the backend back instead of filling memory", async () => {
    let sent = 0;
    const chunk = Buffer.alloc(65_536, "x");
    const total = 64 * 1024 * 1024;
    const stalled = Promise.withResolvers<number>();
    const ingress = await inFrontOf((socket) => {
      socket.once("data", () => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
        const fill = (): void => {
          while (sent < total) {
            sent += chunk.length;
            if (!socket.write(chunk)) return void socket.once("drain", fill);
          }
          socket.end();
        };
        fill();
        // Stalled: no progress over several turns of the backend's own clock.
        let last = -1;
        const watch = setInterval(() => {
          if (sent === last) {
            clearInterval(watch);
            stalled.resolve(sent);
          }
          last = sent;
        }, 150);
      });
    });
    const client = await rawClient(ingress.http);
    client.socket.pause();
    client.socket.write(`${get}Connection: close\r\n\r\n`);
    const inFlight = await stalled.promise;
    assert.ok(inFlight < 24 * 1024 * 1024, `${inFlight} bytes in flight, kernel buffers included`);
    client.socket.resume();
    const text = await client.end();
    assert.equal(text.length - text.indexOf("\r\n\r\n") - 4, total);
  });

  test("a slow backend holds the client back", async () => {
    const held = Promise.withResolvers<Socket>();
    const ingress = await inFrontOf((socket) => {
      socket.pause();
      held.resolve(socket);
    });
    const total = 64 * 1024 * 1024;
    const client = await rawClient(
      ingress.http,
      `PUT / HTTP/1.1\r\nHost: app.test\r\nContent-Length: ${total}\r\n\r\n`,
    );
    const upstream = await held.promise;
    let sent = 0;
    const chunk = Buffer.alloc(65_536);
    const fill = (): void => {
      while (sent < total) {
        sent += chunk.length;
        if (!client.socket.write(chunk)) return void client.socket.once("drain", fill);
      }
    };
    fill();
    let last = -1;
    while (last !== sent) {
      last = sent;
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    assert.ok(sent < 24 * 1024 * 1024, `${sent} bytes in flight, kernel buffers included`);
    let got = 0;
    upstream.on("data", (data: Buffer) => {
      got += data.length;
      if (got > total) upstream.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    upstream.resume();
    await client.until((text) => text.endsWith("\r\n\r\nok"));
    client.socket.destroy();
  });

  test("WebSocket bytes pass both ways after 101, each side can end on its own", async () => {
    let head = "";
    const ingress = await inFrontOf((socket) => {
      socket.once("data", (chunk: Buffer) => {
        head = chunk.toString();
        socket.write(
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nhi",
        );
        socket.pipe(socket);
      });
    });
    const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: y\r\n\r\n";
    const client = await rawClient(ingress.http, `${get}${upgrade}early`);
    const text = await client.until((received) => received.includes("early"));
    assert.match(
      text,
      /^HTTP\/1.1 101 [^\r]*\r\nSec-WebSocket-Accept: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhiearly$/,
    );
    assert.match(head, /\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n/);
    const frame = randomBytes(1024 * 1024);
    client.socket.end(frame);
    const all = Buffer.from(await client.end(), "latin1");
    assert.equal(sha256(all.subarray(text.length)), sha256(frame));
  });

  test("an upgrade to h2c is not passed on", async () => {
    let head = "";
    const ingress = await inFrontOf((socket) => {
      socket.once("data", (chunk: Buffer) => {
        head = chunk.toString();
        socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      });
    });
    const client = await rawClient(
      ingress.http,
      `${get}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n`,
    );
    await client.until((text) => text.includes("\r\n\r\n"));
    client.socket.destroy();
    assert.doesNotMatch(head, /h2c|Upgrade|HTTP2-Settings/i);
  });

  test("graceful stop: new connections are refused, the request in flight ends well and closes", async () => {
    const waiting = Promise.withResolvers<Socket>();
    const ingress = await inFrontOf(
      (socket) => {
        socket.once("data", () => waiting.resolve(socket));
      },
      { drainMs: 10_000, idleDrainMs: 50 },
    );
    const idle = await rawClient(ingress.http);
    const busy = await rawClient(ingress.http, `${get}\r\n`);
    const upstream = await waiting.promise;
    const stopped = ingress.close();
    assert.equal(await idle.end(), "");
    await assert.rejects(rawClient(ingress.http), { code: "ECONNREFUSED" });
    upstream.end("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
    const text = await busy.end();
    assert.match(text, /Connection: close\r\n/);
    assert.ok(text.endsWith("done"));
    await stopped;
  });

  test("graceful stop: a kept-alive connection has its next request answered, and is closed with the answer", async () => {
    const ingress = await inFrontOf((socket) => {
      socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"));
    });
    const client = await rawClient(ingress.http, `${get}\r\n`);
    const first = await client.until((text) => text.endsWith("done"));
    assert.doesNotMatch(first, /Connection: close/);
    const stopped = ingress.close();
    client.socket.write(`${get}\r\n`);
    const both = await client.end();
    assert.match(both.slice(first.length), /^HTTP\/1\.1 200 .*Connection: close\r\n.*done$/s);
    await stopped;
  });

  test("graceful stop is bounded", async () => {
    const ingress = await inFrontOf((socket) => socket.resume(), { drainMs: 60 });
    const client = await rawClient(ingress.http, `${get}\r\n`);
    await ingress.close();
    assert.equal(await client.end(), "");
  });
});

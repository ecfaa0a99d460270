import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import { after, before, test } from "node:test";
import { createCa, issueCertificate } from "#lib/pki";
import { readBody } from "./client.ts";
import { httpsTransport } from "./https.ts";

let answer: (request: IncomingMessage, response: ServerResponse) => void = () => undefined;
let url = "";
let ca = "";
let connections = 0;
const server = createServer((request, response) => answer(request, response));

before(async () => {
  const authority = await createCa({ commonName: "test", days: 1 });
  const { certificate, key } = await issueCertificate(authority, {
    commonName: "api",
    ipAddresses: ["127.0.0.1"],
    usages: ["server"],
    days: 1,
  });
  server.setSecureContext({ cert: certificate, key });
  server.on("secureConnection", () => (connections += 1));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  url = `https://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
  ca = authority.certificate;
});

after(() => {
  server.closeAllConnections();
  server.close();
});

test("a request carries method, path, headers, token and body; the answer comes back", async () => {
  answer = (request, response) => {
    void readBody(request).then((body) => {
      const { method, url: path, headers } = request;
      response.writeHead(201, { "x-test": "1" });
      response.end(JSON.stringify([method, path, headers.authorization, headers["content-type"], body]));
    });
  };
  const transport = httpsTransport({ server: url, ca, token: "secret" });
  const response = await transport.request({
    method: "POST",
    path: "/api/v1/pods?x=1",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  assert.deepEqual(JSON.parse(await readBody(response.body)), [
    "POST",
    "/api/v1/pods?x=1",
    "Bearer secret",
    "application/json",
    "{}",
  ]);
  assert.deepEqual([response.status, response.headers["x-test"]], [201, "1"]);
  transport.close();
});

test("requests one after the other share a connection", async () => {
  answer = (_request, response) => response.end("ok");
  const transport = httpsTransport({ server: url, ca });
  const before = connections;
  for (let count = 0; count < 3; count += 1) {
    await readBody((await transport.request({ method: "GET", path: "/" })).body);
  }
  assert.equal(connections - before, 1);
  transport.close();
});

test("a body is handed on as it comes, and ends when the request is cancelled", async () => {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  answer = (_request, response) => {
    response.write("first");
    response.on("close", resolve);
  };
  const transport = httpsTransport({ server: url, ca });
  const ending = new AbortController();
  const response = await transport.request({ method: "GET", path: "/watch", signal: ending.signal });
  const parts = response.body[Symbol.asyncIterator]();
  assert.equal(Buffer.from((await parts.next()).value).toString(), "first");
  ending.abort();
  await assert.rejects(parts.next());
  await closed;
  transport.close();
});

test("a server that does not answer is given up after the time for the head", async () => {
  answer = () => undefined;
  const transport = httpsTransport({ server: url, ca, headTimeout: 50 });
  await assert.rejects(
    transport.request({ method: "GET", path: "/" }),
    /no answer from the API server within 50 ms/,
  );
  transport.close();
});

test("a server whose certificate another authority signed is refused", async () => {
  const other = await createCa({ commonName: "other", days: 1 });
  const transport = httpsTransport({ server: url, ca: other.certificate });
  await assert.rejects(transport.request({ method: "GET", path: "/" }));
  transport.close();
});

for (const bad of [
  "https://api.example.com:6443",
  "http://127.0.0.1:1",
  "127.0.0.1:6443",
  "https://127.0.0.1/path",
]) {
  test(`server URL refused: ${bad}`, () => {
    assert.throws(() => httpsTransport({ server: bad }), { code: "BadServerUrl" });
  });
}

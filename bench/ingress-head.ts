/**
 * CPU time of the ingress's own work per request, without sockets: reading the request head, writing the backend's,
 * reading the answer's head, writing the client's. The results are verified before they are timed.
 *
 *   node bench/ingress-head.ts
 */
import assert from "node:assert/strict";
import { defaultHeadLimits } from "#wire/http1-head";
import { createRequestReader, type RequestHead } from "#wire/http1-request";
import { createResponseReader, type ResponseHead } from "#wire/http1-response";
import { deliver } from "../src/path/2-ingress/engine/forward-response.ts";
import { forwardedRequestHead } from "../src/path/2-ingress/engine/forward-request.ts";

const request = Buffer.from(
  [
    "GET /api/v1/resource?page=2 HTTP/1.1",
    "Host: api.hadywafa.com",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language: en-US,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Connection: keep-alive",
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark",
    "Upgrade-Insecure-Requests: 1",
    "Sec-Fetch-Mode: navigate",
    "\r\n",
  ].join("\r\n"),
);
const response = Buffer.from(
  "HTTP/1.1 200 OK\r\nServer: app\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: 512\r\nConnection: close\r\n\r\n",
);
const peer = {
  address: "203.0.113.10",
  port: 40_000,
  localPort: 443,
  secure: true,
  serverName: "api.hadywafa.com",
};
const now = (): Date => new Date(0);

const requests = createRequestReader(defaultHeadLimits);
const responses = createResponseReader(defaultHeadLimits);

function readRequest(): RequestHead {
  const head = requests.push(request);
  assert.ok(head?.kind === "request");
  return head;
}

function readResponse(): ResponseHead {
  const head = responses.push(response);
  assert.ok(head?.kind === "response");
  return head;
}

const kept = readRequest();
const answered = readResponse();
const framing = { kind: "length", length: 512 } as const;

const parts: Record<string, () => unknown> = {
  "read the request head": readRequest,
  "write the backend's head": () => forwardedRequestHead(kept, peer, "0123456789abcdef0123456789abcdef"),
  "read the answer's head": readResponse,
  "write the client's head": () => deliver(kept, answered, framing, true, now),
};

assert.equal(kept.host, "api.hadywafa.com");
assert.match(
  forwardedRequestHead(kept, peer, "id"),
  /\r\nX-Real-IP: 203\.0\.113\.10\r\n.*Connection: close\r\n\r\n$/s,
);
assert.match(deliver(kept, answered, framing, true, now).head, /\r\nContent-Length: 512\r\n\r\n$/);

const rounds = 200_000;
let total = 0;
for (const [name, run] of Object.entries(parts)) {
  for (let i = 0; i < 20_000; i++) run();
  const before = process.cpuUsage();
  for (let i = 0; i < rounds; i++) run();
  const { user, system } = process.cpuUsage(before);
  const each = (user + system) / rounds;
  total += each;
  console.log(`${name.padEnd(28)} ${each.toFixed(2)} us`);
}
console.log(`${"together".padEnd(28)} ${total.toFixed(2)} us`);

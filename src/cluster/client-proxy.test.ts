/** Programs of the host that come to a place by its proxy: curl, and bytes by hand. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { connect, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { endsOf, tcpListener, udpSocket } from "#kernel";
import type { LoopbackPlace } from "#kernel";
import { silentLog } from "#lib/log";
import { startDnsServer } from "#serve/dns";
import { freeLoopback } from "../../test/support/loopback.ts";
import { createClientProxies } from "./client-proxy.ts";

const run = promisify(execFile);

interface World {
  readonly variables: Readonly<Record<string, string>>;
  /** A connection to the proxy itself. */
  dial(): Socket;
}

/** A pod at 10.244.0.5, whose DNS knows `web.default.svc.cluster.local` as 10.244.1.6, which says who asked. */
async function world(t: TestContext): Promise<World> {
  const map = freeLoopback(t);
  const place = (name: string, address: string): LoopbackPlace => ({ name, address, map });
  const [pod, dns, web] = [
    place("pod", "10.244.0.5"),
    place("dns", "10.96.0.10"),
    place("web", "10.244.1.6"),
  ];
  const names = await startDnsServer({
    udp: { fd: udpSocket(dns, "0.0.0.0", 53) },
    log: silentLog,
    handler: ({ question: { name } }) =>
      name.toLowerCase() === "web.default.svc.cluster.local."
        ? { rcode: 0, answers: [{ name, ttl: 5, type: "A", address: web.address }] }
        : { rcode: 3 },
  });
  t.after(() => names.close());
  const server = createHttpServer((request, response) => {
    response.end(`${request.method} ${request.url} from ${endsOf(web, request.socket).remote.address}\n`);
  }).listen({ fd: tcpListener(web, "0.0.0.0", 80) });
  t.after(() => server.close().closeAllConnections());
  const proxies = createClientProxies(silentLog);
  t.after(() => proxies.close());
  const variables = await proxies.variables({
    ns: pod,
    nameserver: dns.address,
    search: ["default.svc.cluster.local"],
    ndots: 5,
    recordTypes: ["A"] as const,
  });
  const { hostname, port } = new URL(variables["INROAD_HTTP_PROXY"] ?? "");
  return {
    variables,
    dial() {
      const socket = connect(Number(port), hostname);
      t.after(() => socket.destroy());
      return socket;
    },
  };
}

async function curl(variables: World["variables"], ...args: readonly string[]): Promise<string> {
  const env = { PATH: process.env["PATH"], ...variables };
  const { stdout } = await run("curl", ["-s", "--max-time", "5", ...args], { env });
  return stdout;
}

test("a name is resolved as the place does it, the true port is reached, and the place is who asks", async (t) => {
  const { variables } = await world(t);
  assert.equal(await curl(variables, "http://web/x"), "GET /x from 10.244.0.5\n");
  assert.equal(await curl(variables, "http://10.244.1.6/y"), "GET /y from 10.244.0.5\n");
});

test("HTTP CONNECT leads there as well", async (t) => {
  const { variables } = await world(t);
  const proxy = variables["INROAD_HTTP_PROXY"] ?? "";
  assert.equal(await curl({}, "--proxytunnel", "--proxy", proxy, "http://web/"), "GET / from 10.244.0.5\n");
});

const refusals: readonly (readonly [what: string, url: string, reply: string])[] = [
  ["a name that nobody knows", "http://nobody/", "(4)"],
  ["a port on which nobody listens", "http://web:81/", "(5)"],
];

for (const [what, url, reply] of refusals) {
  test(`${what} is told to the client in the words of SOCKS`, async (t) => {
    const { variables } = await world(t);
    const failure = curl(variables, "-S", url).catch((error: { stderr: string }) => error.stderr);
    assert.match(await failure, new RegExp(`Can't complete SOCKS5 connection.*\\(${reply.slice(1, -1)}\\)`));
  });
}

test("a place has one proxy, however many ask for it at once; an address with another search list has another", async (t) => {
  const map = freeLoopback(t);
  const proxies = createClientProxies(silentLog);
  t.after(() => proxies.close());
  const at = (namespace: string) => ({
    ns: { name: "pod", address: "10.244.0.5", map },
    nameserver: "10.96.0.10",
    search: [`${namespace}.svc.cluster.local`],
    ndots: 5,
    recordTypes: ["A"] as const,
  });
  const [one, same] = await Promise.all([proxies.variables(at("a")), proxies.variables(at("a"))]);
  assert.deepEqual(one, same);
  assert.deepEqual(await proxies.variables(at("b")), one);
});

test("an HTTP request for a whole URL is passed on with its body, on a connection of its own", async (t) => {
  const { variables } = await world(t);
  const http_proxy = variables["INROAD_HTTP_PROXY"] ?? "";
  assert.equal(await curl({ http_proxy }, "http://web/x?y=1"), "GET /x?y=1 from 10.244.0.5\n");
  assert.equal(await curl({ http_proxy }, "-d", "body", "http://web/p"), "POST /p from 10.244.0.5\n");
  const nowhere = await curl({ http_proxy }, "-i", "http://nobody/");
  assert.match(nowhere, /^HTTP\/1\.1 502 [^]*nobody: nxdomain/);
});

test("a request for the proxy itself is answered with what it can do", async (t) => {
  const { variables } = await world(t);
  const url = variables["INROAD_HTTP_PROXY"] ?? "";
  assert.match(
    await curl({}, "-i", url),
    /^HTTP\/1\.1 400 [^]*this proxy takes http:\/\/ URLs, CONNECT and SOCKS 5/,
  );
});

test("a client that sends its messages byte by byte, and data right behind, is served", async (t) => {
  const { dial } = await world(t);
  const socket = dial();
  const messages = [...Buffer.from([5, 1, 0, 5, 1, 0, 3, 3]), ...Buffer.from("web"), 0, 80];
  let answer = "";
  socket.on("data", (bytes: Buffer) => (answer += bytes.toString("latin1")));
  for (const byte of messages) {
    socket.write(Uint8Array.of(byte));
    await new Promise(setImmediate);
  }
  socket.write("GET /z HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n");
  await once(socket, "close");
  assert.ok(answer.startsWith("\x05\0\x05\0\0\x01\0\0\0\0\0\0HTTP/1.1 200"));
  assert.match(answer, /GET \/z from 10\.244\.0\.5/);
});

test("nonsense is refused and the connection ended", async (t) => {
  const { dial } = await world(t);
  for (const bytes of [
    Buffer.from([5, 1, 0, 5, 2, 0, 1]),
    Buffer.from([5, 0, 9, 9]),
    Buffer.from("\0\0\0"),
  ]) {
    const socket = dial();
    socket.resume().end(bytes);
    await once(socket, "close");
  }
});

/** Connections that end at the load balancer and begin at the pods with a PROXY header, over node ports and their rules. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { ipBatch, tcpConnect, tcpListener, type NetNs } from "#kernel";
import type { Endpoint, ServiceModel } from "#model";
import { observe } from "#path/load-balancer";
import { readProxyHeader } from "#wire/proxy-protocol";
import { lbLab, PORT, serviceOf, type LbLab } from "./lb-lab.ts";

const client = "203.0.113.10";
const stranger = "203.0.113.20";
const vips = { v1: "203.0.113.140", v2: "203.0.113.141", guarded: "203.0.113.142", udp: "203.0.113.143" };

/** Reads the header and answers who the client is said to be, then gives back what comes; it ends after the client does. */
function serve(ns: NetNs, words: string): Server {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    let bytes = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      const read = readProxyHeader(bytes);
      if (read.kind === "more") return;
      socket.off("data", onData);
      if (read.kind === "bad") return void socket.end(read.reason);
      const { source, destination } = read.connection ?? {};
      const line = `${words} ${source?.address}:${source?.port} > ${destination?.address}:${destination?.port}\n`;
      socket.write(line);
      socket.write(bytes.subarray(read.length));
      socket.pipe(socket);
    };
    socket.on("data", onData);
  });
  return server.listen({ fd: tcpListener(ns, "0.0.0.0", 8080) });
}

function services(endpoints: readonly Endpoint[]): ServiceModel[] {
  return [
    serviceOf(1, endpoints, { proxiedIPs: [vips.v1], proxyProtocol: "v1" }),
    serviceOf(2, endpoints, { proxiedIPs: [vips.v2], proxyProtocol: "v2" }),
    serviceOf(3, endpoints, {
      proxiedIPs: [vips.guarded],
      proxyProtocol: "v1",
      sourceRanges: [`${stranger}/32`],
    }),
  ];
}

let lab: LbLab;
let endpoints: readonly Endpoint[] = [];
before(async () => {
  lab = await lbLab((all) => services((endpoints = all)), serve);
  await ipBatch(lab.outside.internet, [`address add ${stranger}/32 dev eth0`]);
  const end = performance.now() + 10_000;
  while (!lab.balancer.current().ports.every(({ candidates }) => candidates.every((one) => one.eligible))) {
    assert.ok(performance.now() < end, "not all nodes are healthy within 10 s");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await lab.balancer.settled();
});
after(() => lab.close());

function dial(vip: string, from = client): Socket {
  return tcpConnect(lab.outside.internet, vip, PORT, { address: from, allowHalfOpen: true });
}

/** Everything that comes, once both sides have ended. */
async function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

for (const version of ["v1", "v2"] as const) {
  test(`by ${version} the pod learns the client's own address and the one that it called`, async () => {
    const socket = dial(vips[version]);
    await once(socket, "connect");
    const { localPort } = socket;
    socket.end("hello");
    const [line = "", rest] = (await readAll(socket)).split("\n");
    assert.equal(line.split(" ").slice(1).join(" "), `${client}:${localPort} > ${vips[version]}:80`);
    assert.equal(rest, "hello");
  });
}

test("a server that speaks first is heard before the client says anything", async () => {
  const socket = dial(vips.v1);
  const [line] = await once(socket, "data", { signal: AbortSignal.timeout(5000) });
  assert.match(String(line), /^node-/);
  socket.destroy();
});

test("a client that has ended still gets everything that was on its way, however much", async () => {
  const socket = dial(vips.v2);
  const much = "x".repeat(5_000_000);
  socket.end(much);
  const answer = await readAll(socket);
  assert.equal(answer.length - answer.indexOf("\n") - 1, much.length);
});

test("nodes take turns, and the edge's own record names the node of a connection", async () => {
  const seen = new Set<string | undefined>();
  for (let i = 0; i < 3; i += 1) {
    const socket = dial(vips.v1);
    await once(socket, "data");
    const { localPort } = socket;
    const source = { address: client, ...(localPort === undefined ? {} : { port: localPort }) };
    const flow = { protocol: "TCP", source, destination: { address: vips.v1, port: PORT } } as const;
    seen.add((await observe(lab.outside.edge, lab.balancer, flow))?.node);
    socket.destroy();
  }
  assert.deepEqual(seen, new Set(["node-a", "node-b", "node-c"]));
});

test("who is not in the source ranges is reset, and no pod hears of it", async () => {
  const [error] = await once(dial(vips.guarded), "error");
  assert.equal(error.code, "ECONNRESET");
  const admitted = dial(vips.guarded, stranger);
  admitted.end();
  assert.match(await readAll(admitted), new RegExp(`${stranger}:`));
});

test("without an eligible node a connection is refused; one that is established goes on", async () => {
  const socket = dial(vips.v1);
  await once(socket, "data");
  const without = services(endpoints).map((one) => ({ ...one, externalTrafficPolicy: "Local" as const }));
  await lab.set(
    without.map((one) => ({ ...one, ports: one.ports.map((port) => ({ ...port, endpoints: [] })) })),
  );
  const [error] = await once(dial(vips.v1), "error");
  assert.equal(error.code, "ECONNREFUSED");
  socket.write("still here");
  const [answer] = await once(socket, "data", { signal: AbortSignal.timeout(5000) });
  assert.equal(String(answer), "still here");
  socket.destroy();
});

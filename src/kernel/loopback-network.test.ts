import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { test } from "node:test";
import { codeOf } from "#lib/errors";
import { freeLoopback } from "../../test/support/loopback.ts";
import { createLoopbackNetwork, keyOf } from "./loopback-network.ts";
import type { Claim, LoopbackNetwork, ServiceEnd } from "./loopback-network.ts";
import { endsOf, tcpConnect, tcpListener } from "./sockets.ts";

const nodes = [
  { name: "node-a", address: "172.30.0.11", podCIDR: "10.244.0.0/24" },
  { name: "node-b", address: "172.30.0.12", podCIDR: "10.244.1.0/24" },
];
const service: ServiceEnd = { address: "10.96.0.7", protocol: "TCP", port: 80 };
const nodePort: ServiceEnd = { address: "172.30.0.12", protocol: "TCP", port: 30080 };
const balanced: ServiceEnd = { address: "203.0.113.128", protocol: "TCP", port: 443 };

/** Answers with its name and the client that it was told of. */
function answering(name: string): Claim {
  return {
    accept: (socket, client) => socket.resume().end(`${name} ${client.address}`),
    open: () => undefined,
  };
}

async function ask(network: LoopbackNetwork, from: string, { address, port }: ServiceEnd): Promise<string> {
  const socket = tcpConnect(network.place("client", from), address, port);
  let text = "";
  socket.on("data", (bytes) => (text += bytes.toString()));
  try {
    await once(socket, "close");
    return text;
  } catch (error) {
    return codeOf(error) ?? "error";
  }
}

const who: readonly {
  readonly from: string;
  readonly to: ServiceEnd;
  readonly decides: string;
}[] = [
  { from: "10.244.0.5", to: service, decides: "node-a 10.244.0.5" },
  { from: "10.244.1.5", to: service, decides: "node-b 10.244.1.5" },
  { from: "172.30.0.12", to: service, decides: "node-b 172.30.0.12" },
  { from: "203.0.113.10", to: service, decides: "node-a 203.0.113.10" },
  { from: "203.0.113.10", to: nodePort, decides: "node-b 203.0.113.10" },
  { from: "10.244.0.5", to: nodePort, decides: "node-b 10.244.0.5" },
  { from: "203.0.113.10", to: balanced, decides: "node-b 203.0.113.10" },
  { from: "10.244.0.5", to: balanced, decides: "node-a 10.244.0.5" },
];

for (const { from, to, decides } of who) {
  test(`a connection from ${from} to ${keyOf(to)} is decided about by ${decides.split(" ")[0]}`, async (t) => {
    const network = createLoopbackNetwork(freeLoopback(t), () => nodes);
    network.steer(new Map([[keyOf(balanced), () => "node-b"]]));
    for (const { name } of nodes) t.after(network.claim(name, to, answering(name)));
    assert.equal(await ask(network, from, to), decides);
  });
}

test("a connection whose node claims nothing is reset, where another node listens", async (t) => {
  const network = createLoopbackNetwork(freeLoopback(t), () => nodes);
  t.after(network.claim("node-b", service, answering("node-b")));
  assert.equal(await ask(network, "10.244.0.5", service), "ECONNRESET");
});

test("when the last claim is released, nobody listens any more; the others go on before", async (t) => {
  const network = createLoopbackNetwork(freeLoopback(t), () => nodes);
  const [first, second] = nodes.map(({ name }) => network.claim(name, service, answering(name)));
  first?.();
  assert.equal(await ask(network, "10.244.1.5", service), "node-b 10.244.1.5");
  second?.();
  assert.equal(await ask(network, "10.244.1.5", service), "ECONNREFUSED");
});

test("an address on which somebody else listens cannot be claimed", async (t) => {
  const network = createLoopbackNetwork(freeLoopback(t), () => nodes);
  const fd = tcpListener(network.place("other", service.address), "0.0.0.0", service.port);
  const other = createServer().listen({ fd });
  t.after(() => other.close());
  assert.throws(() => network.claim("node-a", service, answering("node-a")), { code: "EADDRINUSE" });
});

for (const kind of ["service", "pod"] as const) {
  test(`where a program of the host has the port on all addresses, a ${kind} is found elsewhere, under its own port`, async (t) => {
    const foreign = createServer().listen(0);
    t.after(() => foreign.close());
    await once(foreign, "listening");
    const { port } = foreign.address() as AddressInfo;
    const network = createLoopbackNetwork(freeLoopback(t), () => nodes);
    const end: ServiceEnd = { address: "10.96.0.7", protocol: "TCP", port };
    if (kind === "service") t.after(network.claim("node-a", end, answering("node-a")));
    else {
      const place = network.place("web", end.address);
      const server = createServer((socket) =>
        socket.end(`node-a ${endsOf(place, socket).local.port === port}`),
      );
      server.listen({ fd: tcpListener(place, "0.0.0.0", port) });
      t.after(() => server.close());
    }
    const answer = await ask(network, "10.244.0.5", end);
    assert.equal(answer, kind === "service" ? "node-a 10.244.0.5" : "node-a true");
  });
}

test("a place listens and is seen by its own address, at the true ports", async (t) => {
  const network = createLoopbackNetwork(freeLoopback(t), () => nodes);
  const [pod, client] = [network.place("pod", "10.244.0.5"), network.place("client", "10.244.1.6")];
  const server = createServer().listen({ fd: tcpListener(pod, "0.0.0.0", 80) });
  t.after(() => server.close());
  const accepting = once(server, "connection");
  const socket = tcpConnect(client, pod.address, 80);
  t.after(() => socket.destroy());
  await once(socket, "connect");
  const [accepted] = await accepting;
  t.after(() => accepted.destroy());
  const seen = endsOf(pod, accepted);
  assert.deepEqual(seen.local, { address: "10.244.0.5", port: 80 });
  assert.equal(seen.remote.address, "10.244.1.6");
  assert.deepEqual(endsOf(client, socket).remote, { address: "10.244.0.5", port: 80 });
});

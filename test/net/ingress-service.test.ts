/** The ingress against Service rules in a real kernel: what REJECT, DROP and DNAT become, and the evidence of the record. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import {
  closeNetNs,
  conntrack,
  createNetNs,
  homeNetNs,
  ipBatch,
  nft,
  setSysctls,
  tcpListener,
  type NetNs,
} from "#kernel";
import { selfSigned } from "../../src/path/2-ingress/testing-certificate.ts";
import {
  rawClient,
  snapshotOf,
  startTestIngress,
  testToken,
  type TestIngress,
} from "../../src/path/2-ingress/testing.ts";

const addresses: Record<string, string> = {
  app: "10.96.1.1",
  empty: "10.96.1.2",
  local: "10.96.1.3",
  rejecting: "10.96.1.4",
};
const backend = createServer((_, res) => res.end("from the pod"));
let node: NetNs;
let ingress: TestIngress;

/** The ingress pod is this namespace, 10.244.0.3; the node's holds the Service rules and, at 10.244.0.9, the backend. */
before(async () => {
  node = createNetNs("node");
  await ipBatch(homeNetNs(), [
    "link set lo up",
    `link add eth0 type veth peer name pod0 netns ${node.path}`,
    "address add 10.244.0.3/24 dev eth0",
    "link set eth0 up",
  ]);
  await ipBatch(node, [
    "link set lo up",
    "address add 10.244.0.1/24 dev pod0",
    "address add 10.244.0.9/32 dev lo",
    "link set pod0 up",
  ]);
  await ipBatch(homeNetNs(), ["route add default via 10.244.0.1"]);
  setSysctls(node, { "net/ipv4/ip_forward": "1" });
  await nft(
    node,
    `table ip services {
      chain filter { type filter hook prerouting priority -110;
        ip daddr { ${addresses["empty"]}, ${addresses["rejecting"]} } tcp dport 80 reject
        ip daddr ${addresses["local"]} tcp dport 80 drop
      }
      chain nat { type nat hook prerouting priority -100; ip daddr ${addresses["app"]} tcp dport 80 dnat to 10.244.0.9:8080; }
    }`,
  );
  backend.listen({ fd: tcpListener(node, "10.244.0.9", 8080) });
  await once(backend, "listening");
  const names = Object.entries(addresses);
  const backends = names.map(([name, clusterIP]) => ({ name, port: 80, clusterIP, ready: name !== "empty" }));
  const routes = names.map(([name]) => ({ host: "app.test", path: `/${name}`, backend: name }));
  ingress = await startTestIngress(snapshotOf(backends, routes), {
    defaultCertificate: await selfSigned("default.test"),
    limits: { connectMs: 200 },
    resolve: async (name) => {
      const address = addresses[name.split(".")[0] ?? ""] ?? "";
      return { address, ttl: 30, answer: `${name}. 30 IN A ${address}` };
    },
  });
});

after(async () => {
  await ingress.close();
  closeNetNs(node);
  backend.closeAllConnections();
  backend.close();
});

async function ask(path: string, id = "x"): Promise<string> {
  const client = await rawClient(ingress.http);
  client.socket.write(
    `GET ${path} HTTP/1.1\r\nHost: app.test\r\nX-Request-ID: ${id}\r\nConnection: close\r\n\r\n`,
  );
  return client.end();
}

for (const [path, status, words] of [
  ["/app", 200, "from the pod"],
  ["/empty", 503, "no ready endpoints"],
  ["/rejecting", 502, "did not accept"],
  ["/local", 504, "took too long"],
] as const) {
  test(`${path} is answered ${status}`, async () => {
    const text = await ask(path);
    assert.match(text, new RegExp(`^HTTP/1.1 ${status} `));
    assert.ok(text.includes(words), text);
  });
}

test("the record's upstream connection is the one that the kernel tracked and translated", async () => {
  await ask("/app", "evidence");
  const url = `http://127.0.0.1:${ingress.debug}/debug/records?requestId=evidence`;
  const response = await fetch(url, { headers: { authorization: `Bearer ${testToken}` } });
  const { records } = (await response.json()) as {
    records: { upstream: { address: string; port: number; localAddress: string; localPort: number } }[];
  };
  const upstream = records[0]?.upstream;
  assert.ok(upstream);
  assert.deepEqual([upstream.address, upstream.port], ["10.96.1.1", 80]);
  const entries = await conntrack(node, {
    protocol: "tcp",
    source: upstream.localAddress,
    sourcePort: upstream.localPort,
  });
  assert.equal(entries.length, 1);
  assert.equal(entries[0]?.original.destination, "10.96.1.1");
  assert.equal(entries[0]?.reply.source, "10.244.0.9");
});

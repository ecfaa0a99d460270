import { test } from "node:test";
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import {
  closeNetNs,
  createNetNs,
  ipBatch,
  nft,
  tcpConnect,
  tcpListener,
  unansweredConnections,
} from "#kernel";

test("only translated connections without any answer are told, with where they were sent", async (t) => {
  const ns = createNetNs("node");
  t.after(() => closeNetNs(ns));
  await ipBatch(ns, [
    "link set lo up",
    "address add 10.244.0.2/32 dev lo",
    "route add 10.96.0.0/16 dev lo",
    // Nobody is there, and nobody says so.
    "link add silent type bridge",
    "link set silent up",
    "route add 10.244.9.0/24 dev silent",
  ]);
  await ipBatch(ns, ["neighbour replace 10.244.9.9 lladdr 02:00:00:00:00:09 dev silent nud permanent"]);
  await nft(
    ns,
    [
      "add table ip t",
      "add chain ip t output { type nat hook output priority -100; }",
      "add rule ip t output ip daddr 10.96.0.1 tcp dport 80 dnat to 10.244.0.2:8080",
      "add rule ip t output ip daddr 10.96.0.2 tcp dport 80 dnat to 10.244.9.9:8080",
      "",
    ].join("\n"),
  );
  const server = createServer((socket) => socket.on("error", () => undefined)).listen({
    fd: tcpListener(ns, "10.244.0.2", 8080),
  });
  const answered = tcpConnect(ns, "10.96.0.1", 80);
  const direct = tcpConnect(ns, "10.244.9.9", 8080, { port: 40_001 });
  const silent = tcpConnect(ns, "10.96.0.2", 80, { port: 40_002 });
  t.after(() => {
    for (const socket of [answered, direct, silent]) socket.destroy();
    server.close();
  });
  await once(answered, "connect");
  const seen = unansweredConnections(ns);
  assert.deepEqual(
    seen.map(({ original, endpoint }) => [original.destination, original.sourcePort, endpoint]),
    [["10.96.0.2", 40_002, { address: "10.244.9.9", port: 8080 }]],
  );
});

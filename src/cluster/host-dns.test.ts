import assert from "node:assert/strict";
import { test } from "node:test";
import { createHostDns } from "./host-dns.ts";
import type { FromCluster } from "./messages.ts";

test("queries by TCP go to the supervisor as text, and each gets its own answer", async () => {
  const told: FromCluster[] = [];
  const { carry, answered } = createHostDns((message) => told.push(message));
  const server = { address: "192.0.2.1", port: 53 };
  const replies = [carry(server, Buffer.from("a"), "tcp"), carry(server, Buffer.from("b"), "tcp")];
  const refused = carry(server, Buffer.from("c"), "tcp");
  assert.deepEqual(told[0], { type: "dns-tcp", id: 0, server: "192.0.2.1:53", query: "YQ==" });
  answered(1, Buffer.from("B").toString("base64"));
  answered(0, Buffer.from("A").toString("base64"));
  answered(2, undefined);
  answered(9, undefined);
  assert.deepEqual(
    (await Promise.all(replies)).map((bytes) => Buffer.from(bytes).toString()),
    ["A", "B"],
  );
  await assert.rejects(refused, { code: "NoUpstream" });
});

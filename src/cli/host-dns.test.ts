import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { type TestContext, test } from "node:test";
import type { FromCluster, ToCluster } from "#cluster";
import { queryFor } from "#serve/dns";
import { createFrameReader, decodeMessage, encodeMessage, frame } from "#wire/dns";
import { createTcpCarrier } from "./host-dns.ts";

/** A name server that only speaks TCP. */
async function nameServer(t: TestContext): Promise<string> {
  const server = createServer((socket) => {
    const frames = createFrameReader();
    socket.on("data", (chunk) => {
      if (typeof chunk === "string") return;
      for (const query of frames.push(chunk)) {
        socket.write(frame(encodeMessage({ ...decodeMessage(query), response: true, rcode: 3 })));
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const address = server.address();
  return `127.0.0.1:${typeof address === "object" ? (address?.port ?? 0) : 0}`;
}

const askFor = (server: string): FromCluster => ({
  type: "dns-tcp",
  id: 7,
  server,
  query: Buffer.from(queryFor({ name: "a.example.", type: "A" })).toString("base64"),
});

test("the supervisor carries a query by TCP to a name server of the host, and to no other address", async (t) => {
  const [known, other] = [await nameServer(t), await nameServer(t)];
  const said: ToCluster[] = [];
  const carry = createTcpCarrier([known], (message) => said.push(message));
  await carry(askFor(known));
  const [answer] = said.splice(0);
  assert.ok(answer?.type === "dns-tcp-answer" && answer.reply !== undefined);
  assert.equal(decodeMessage(Buffer.from(answer.reply, "base64")).rcode, 3);
  for (const server of [other, "nonsense"]) await carry(askFor(server));
  assert.deepEqual(said, [
    { type: "dns-tcp-answer", id: 7 },
    { type: "dns-tcp-answer", id: 7 },
  ]);
});

test("a query by TCP goes from the cluster through the supervisor and back", async (t) => {
  const known = await nameServer(t);
  const { createHostDns } = await import("../cluster/host-dns.ts");
  const cluster = createHostDns((message) => void carry(message));
  const carry = createTcpCarrier([known], (message) => {
    if (message.type === "dns-tcp-answer") cluster.answered(message.id, message.reply);
  });
  const server = { address: "127.0.0.1", port: Number(known.split(":")[1]) };
  const query = queryFor({ name: "a.example.", type: "A" });
  const reply = decodeMessage(await cluster.carry(server, query, "tcp"));
  assert.deepEqual([reply.rcode, reply.questions[0]?.name], [3, "a.example."]);
  await assert.rejects(cluster.carry({ ...server, port: 1 }, query, "tcp"), { code: "NoUpstream" });
});

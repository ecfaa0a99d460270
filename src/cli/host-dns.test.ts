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

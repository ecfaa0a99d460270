import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import * as fc from "fast-check";
import { openUdpBatch } from "#kernel";
import { silentLog } from "#lib/log";
import { openDgram, queryFor, socketCarrier, startDnsServer } from "#serve/dns";
import { decodeMessage } from "#wire/dns";

const query = queryFor({ name: "api.default.svc.cluster.local.", type: "A" });

/** Noise, and real queries with some bytes changed. */
const datagram = fc.oneof(
  fc.uint8Array({ maxLength: 2000 }),
  fc.array(fc.tuple(fc.nat(query.length - 1), fc.nat(255)), { maxLength: 5 }).map((changes) => {
    const bytes = Uint8Array.from(query);
    for (const [at, value] of changes) bytes[at] = value;
    return bytes;
  }),
);

for (const [name, openDatagrams] of Object.entries({ dgram: openDgram, batch: openUdpBatch })) {
  test(`${name}: whatever arrives, in bursts of any size, the next query is answered`, async (t) => {
    const server = await startDnsServer({
      udp: { address: "127.0.0.1", port: 0 },
      openDatagrams,
      handler: ({ question }) => ({
        rcode: 0,
        lasting: true,
        answers: [{ name: question.name, ttl: 5, type: "A", address: "10.96.0.1" }],
      }),
      log: silentLog,
    });
    t.after(() => server.close());
    const port = server.udpPort ?? 0;
    const client = createSocket("udp4").bind(0, "127.0.0.1");
    await once(client, "listening");
    t.after(() => client.close());
    const carry = socketCarrier({ timeoutMs: 5000 });
    await fc.assert(
      fc.asyncProperty(fc.array(datagram, { maxLength: 150 }), async (datagrams) => {
        for (const bytes of datagrams) client.send(bytes, port, "127.0.0.1");
        const reply = decodeMessage(await carry({ address: "127.0.0.1", port }, query, "udp"));
        assert.equal(reply.answers.length, 1);
      }),
      { numRuns: 60 },
    );
  });
}

import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import { decodeMessage, formatRecord, withId } from "#wire/dns";
import { socketCarrier, type DnsCarrier } from "./dns-carrier.ts";
import { createSharedSocketCarrier } from "./dns-shared-socket.ts";
import { parseDnsEndpoint } from "./dns-sockets.ts";
import { nameServer, queryBytes } from "./dns-testing.ts";

async function sharedCarrier(t: TestContext, timeoutMs: number) {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(socket, "listening");
  t.after(() => socket.close());
  return createSharedSocketCarrier({ socket, timeoutMs, tcp: socketCarrier({ timeoutMs }) });
}

const carriers: Readonly<Record<string, (t: TestContext, timeoutMs: number) => Promise<DnsCarrier>>> = {
  "a socket for each query": async (_, timeoutMs) => socketCarrier({ timeoutMs }),
  "one socket for all queries": async (t, timeoutMs) => (await sharedCarrier(t, timeoutMs)).carry,
};

for (const [which, make] of Object.entries(carriers)) {
  for (const transport of ["udp", "tcp"] as const) {
    test(`${which}, ${transport}: each of many queries gets its own answer and its own id`, async (t) => {
      const names = Array.from({ length: 50 }, (_, i) => `n${i}.`);
      const server = await nameServer(t, (name) => [`10.0.0.${names.indexOf(name)}`]);
      const carry = await make(t, 5000);
      const replies = await Promise.all(
        names.map((name, id) => carry(server, queryBytes(name, id), transport)),
      );
      assert.deepEqual(
        replies
          .map((bytes) => decodeMessage(bytes))
          .map((reply) => [reply.id, ...reply.answers.map(formatRecord)]),
        names.map((name, i) => [i, `${name} 5 IN A 10.0.0.${i}`]),
      );
    });

    test(`${which}, ${transport}: silence ends with an error`, async (t) => {
      const server = await nameServer(t, () => undefined);
      const carry = await make(t, 20);
      await assert.rejects(carry(server, queryBytes("a.", 1), transport), { code: "UpstreamTimeout" });
    });
  }

  test(`${which}: answers with another id or question, from another server, and garbage are not taken`, async (t) => {
    const liar = createSocket("udp4").bind(0, "127.0.0.1");
    const stranger = createSocket("udp4").bind(0, "127.0.0.1");
    await Promise.all([once(liar, "listening"), once(stranger, "listening")]);
    t.after(() => [liar, stranger].forEach((socket) => socket.close()));
    liar.on("message", (query, { port, address }) => {
      const right = Buffer.from(query);
      right[2] = (right[2] ?? 0) | 0x80;
      const other = Buffer.from(right);
      other[13] = 0x62;
      const forged = Buffer.from(right);
      forged[3] = 5;
      for (const bytes of [Buffer.of(1), query, withId(right, right.readUInt16BE(0) ^ 1), other])
        liar.send(bytes, port, address);
      stranger.send(forged, port, address, () => liar.send(right, port, address));
    });
    const carry = await make(t, 5000);
    const reply = decodeMessage(
      await carry({ address: "127.0.0.1", port: liar.address().port }, queryBytes("a.", 7), "udp"),
    );
    assert.deepEqual([reply.id, reply.rcode, reply.questions[0]?.name], [7, 0, "a."]);
  });
}

test("a shared socket that is given up rejects what still waits", async (t) => {
  const server = await nameServer(t, () => undefined);
  const { carry, close } = await sharedCarrier(t, 60_000);
  const waiting = carry(server, queryBytes("a.", 1), "udp");
  close();
  await assert.rejects(waiting, { code: "UpstreamTimeout" });
});

test("name servers are written as an address, perhaps with a port", () => {
  for (const [text, expected] of [
    ["192.0.2.1", "192.0.2.1 53"],
    ["192.0.2.1:5353", "192.0.2.1 5353"],
    ["2001:DB8::1", "2001:db8::1 53"],
    ["[2001:db8::1]", "2001:db8::1 53"],
    ["[2001:db8::1]:5353", "2001:db8::1 5353"],
    ["192.0.2.1:0", undefined],
    ["192.0.2.1:65536", undefined],
    ["192.0.2.256", undefined],
    ["dns.example.com", undefined],
    ["fe80::1%eth0", undefined],
    ["", undefined],
  ] as const) {
    const endpoint = parseDnsEndpoint(text);
    assert.equal(endpoint && `${endpoint.address} ${endpoint.port}`, expected, text);
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { carryThrough, createCertificateLines, createForwardLines, onCertificate } from "./threads.ts";

test("every ingress replica that lives hears of a new certificate", async (t) => {
  const { announce, connect } = createCertificateLines();
  const heard = Array.from({ length: 2 }, () => {
    const line = connect();
    t.after(() => line.close());
    return new Promise((resolve) => {
      onCertificate(line, resolve);
      line.ref();
    });
  });
  const certificate = { certificate: "certificate", key: "key" };
  announce(certificate);
  assert.deepEqual(await Promise.all(heard), [certificate, certificate]);
});

const server = { address: "192.0.2.1", port: 53 };

test("queries wait for the resolver of the host, and get their own answers", async (t) => {
  const { connect, serve } = createForwardLines();
  const lines = [connect(), connect()];
  const [one, two] = lines.map(carryThrough);
  for (const line of lines) {
    line.ref();
    t.after(() => line.close());
  }
  const answers = [
    one?.(server, Buffer.from("a"), "udp"),
    two?.(server, Buffer.from("b"), "tcp"),
    one?.(server, Buffer.from("c"), "udp"),
  ];
  serve(async ({ address }, query, transport) =>
    Buffer.concat([query, Buffer.from(` ${transport} ${address}`)]),
  );
  const answered = await Array.fromAsync(answers);
  const texts = answered.map((answer) => Buffer.from(answer ?? []).toString());
  assert.deepEqual(texts, ["a udp 192.0.2.1", "b tcp 192.0.2.1", "c udp 192.0.2.1"]);
});

test("a query that no upstream answers fails", async (t) => {
  const { connect, serve } = createForwardLines();
  const line = connect();
  t.after(() => line.close());
  const carry = carryThrough(line);
  line.ref();
  serve(() => Promise.reject(new Error("no route")));
  await assert.rejects(carry(server, Buffer.from("a"), "udp"), { code: "NoUpstream" });
});

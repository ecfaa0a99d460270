import assert from "node:assert/strict";
import { test } from "node:test";
import { createCertificateLines, createForwardLines, forwardThrough, onCertificate } from "./threads.ts";

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

test("queries wait for the resolver of the host, and get their own answers", async (t) => {
  const { connect, serve } = createForwardLines();
  const lines = [connect(), connect()];
  const [one, two] = lines.map(forwardThrough);
  for (const line of lines) {
    line.ref();
    t.after(() => line.close());
  }
  const answers = [one?.(Buffer.from("a")), two?.(Buffer.from("b")), one?.(Buffer.from("c"))];
  serve((query) => Promise.resolve(Buffer.concat([query, Buffer.from("!")])));
  const answered = await Array.fromAsync(answers);
  const texts = answered.map((answer) => Buffer.from(answer ?? []).toString());
  assert.deepEqual(texts, ["a!", "b!", "c!"]);
});

test("a query that no upstream answers fails", async (t) => {
  const { connect, serve } = createForwardLines();
  const line = connect();
  t.after(() => line.close());
  const forward = forwardThrough(line);
  line.ref();
  serve(() => Promise.reject(new Error("no route")));
  await assert.rejects(forward(Buffer.from("a")), { code: "NoUpstream" });
});

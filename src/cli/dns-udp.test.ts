import assert from "node:assert/strict";
import { test } from "node:test";
import { openUdpBatch } from "#kernel";
import type { OpenDatagrams } from "#lib/datagrams";
import { InroadError } from "#lib/errors";
import { createLog } from "#lib/log";
import { openDgram } from "#serve/dns";
import { withFallBack } from "./dns-udp.ts";

const anywhere = { address: "127.0.0.1", port: 0 };
const ignore = (): void => undefined;

test("where batches cannot be had, UDP is served all the same, and it is said", async (t) => {
  const lines: string[] = [];
  const fast: OpenDatagrams = () => Promise.reject(new InroadError("UvFailed", "no uv_poll_init here"));
  const open = withFallBack(
    fast,
    openDgram,
    createLog("dns", (line) => lines.push(line)),
  );
  const socket = await open(anywhere, ignore);
  t.after(() => socket.close());
  assert.ok(socket.port > 0);
  assert.match(lines.join("\n"), /one datagram at a time why=no uv_poll_init here$/);
});

test("a busy port is an error at once, whoever would have read it", async (t) => {
  const lines: string[] = [];
  const open = withFallBack(
    openUdpBatch,
    openDgram,
    createLog("dns", (line) => lines.push(line)),
  );
  await assert.rejects(open({ address: "192.0.2.1", port: 0 }, ignore), { code: "EADDRNOTAVAIL" });
  const socket = await open(anywhere, ignore);
  t.after(() => socket.close());
  assert.deepEqual(lines, []);
});

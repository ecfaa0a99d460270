import assert from "node:assert/strict";
import { test } from "node:test";
import { InroadError } from "#lib/errors";
import { decodeMessage, encodeMessage, formatRecord } from "#wire/dns";
import type { Forward } from "./forward.ts";
import { start, upstream } from "./testing-server.ts";
import { cluster, without } from "./testing.ts";

test("a program in a pod resolves a Service by its short name", async (t) => {
  const { ask } = await start(t);
  const result = await ask("api-service");
  assert.deepEqual(result.records.map(formatRecord), [
    "api-service.default.svc.cluster.local. 5 IN A 10.96.1.1",
  ]);
});

test("a new snapshot is answered from at once", async (t) => {
  const { ask, set } = await start(t);
  assert.equal((await ask("api-service.default.svc.cluster.local.")).outcome, "answered");
  set(without("default/api-service"));
  assert.equal((await ask("api-service.default.svc.cluster.local.")).outcome, "nxdomain");
  set(cluster);
  assert.equal((await ask("api-service.default.svc.cluster.local.")).outcome, "answered");
});

test("until the cluster is known every answer is SERVFAIL, and nothing is forwarded", async (t) => {
  const forward = upstream({ "api.hadywafa.com.": ["192.0.2.66"] });
  const synced = Promise.withResolvers<void>();
  const { ask } = await start(t, { forward }, synced.promise);
  for (const name of ["api-service.default.svc.cluster.local.", "api.hadywafa.com."]) {
    assert.equal((await ask(name)).tried[0]?.reason, "SERVFAIL");
  }
  assert.deepEqual(forward.asked, []);
  synced.resolve();
  await synced.promise;
  assert.equal((await ask("api-service.default.svc.cluster.local.")).outcome, "answered");
});

test("all addresses of a headless Service come, in changing order", async (t) => {
  const { ask } = await start(t);
  const orders = new Set<string>();
  for (let i = 0; i < 100; i++) {
    const { records } = await ask("db.default.svc.cluster.local.");
    const addresses = records.map((record) => ("address" in record ? record.address : ""));
    assert.deepEqual([...addresses].sort(), ["10.244.0.7", "10.244.1.7", "10.244.1.9"]);
    orders.add(addresses[0] ?? "");
  }
  assert.equal(orders.size, 3);
});

test("other names are forwarded once and then come from the cache, with a TTL that goes down", async (t) => {
  let now = 0;
  const forward = upstream({ "www.example.com.": ["192.0.2.1"] });
  const { ask } = await start(t, { forward, now: () => now });
  const ttl = async (): Promise<number | undefined> => (await ask("www.example.com.")).records[0]?.ttl;
  assert.equal(await ttl(), 60);
  now = 10_000;
  assert.equal(await ttl(), 20);
  assert.deepEqual(forward.asked, ["www.example.com."]);
  now = 31_000;
  assert.equal(await ttl(), 60);
  assert.equal(forward.asked.length, 2);
});

test("a cached answer keeps the case of each question", async (t) => {
  const forward = upstream({ "www.example.com.": ["192.0.2.1"], "WWW.example.com.": ["192.0.2.1"] });
  const { ask } = await start(t, { forward });
  await ask("www.example.com.");
  assert.equal((await ask("WWW.example.com.")).outcome, "answered");
  assert.equal(forward.asked.length, 1);
});

test("the upstream is never asked for the host of an Ingress", async (t) => {
  const forward = upstream({ "api.hadywafa.com.": ["192.0.2.66"], "pending.example.": ["192.0.2.66"] });
  const { ask } = await start(t, { forward });
  const result = await ask("api.hadywafa.com.");
  assert.deepEqual(result.records.map(formatRecord), ["api.hadywafa.com. 5 IN A 203.0.113.128"]);
  assert.equal((await ask("api.hadywafa.com.", "AAAA")).outcome, "nodata");
  assert.equal((await ask("pending.example.")).outcome, "nodata");
  assert.deepEqual(forward.asked, []);
});

test("an ExternalName is completed by the upstream; if that fails, the alias still comes", async (t) => {
  const forward = upstream({ "www.example.com.": ["192.0.2.1"] });
  const { ask } = await start(t, { forward });
  const alias = "outside.default.svc.cluster.local. 5 IN CNAME www.example.com.";
  const name = "outside.default.svc.cluster.local.";
  assert.deepEqual((await ask(name)).records.map(formatRecord), [
    alias,
    "www.example.com. 60 IN A 192.0.2.1",
  ]);
  const alone = await start(t);
  assert.deepEqual((await alone.ask(name)).records.map(formatRecord), [alias]);
});

const failing: Forward = () => Promise.reject(new InroadError("UpstreamTimeout", "too late"));

test("without an upstream, or when it fails or lies, other names are SERVFAIL", async (t) => {
  const wrong: Forward = async () =>
    encodeMessage({ ...decodeMessage(await upstream({})(query, "udp")), id: 1 });
  const query = encodeMessage({
    id: 2,
    response: false,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    authenticData: false,
    checkingDisabled: false,
    rcode: 0,
    questions: [{ name: "other.example.", type: "A", class: 1 }],
    answers: [],
    authorities: [],
    additionals: [],
  });
  for (const options of [
    {},
    { forward: failing },
    { forward: wrong },
    { forward: async () => Uint8Array.of(1) },
  ]) {
    const { ask } = await start(t, options);
    assert.equal((await ask("www.example.com.")).tried[0]?.reason, "SERVFAIL");
  }
});

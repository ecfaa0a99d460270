import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { silentLog } from "#lib/log";
import { createClient } from "./client.ts";
import { createManualClock } from "./clock.ts";
import { keepProgrammedLease } from "./programmed-lease.ts";
import { scriptedTransport } from "./scripted-transport.ts";

const path = "/apis/coordination.k8s.io/v1/namespaces/inroad-system/leases";

function start() {
  const transport = scriptedTransport();
  const clock = createManualClock(1_000_000);
  const lease = keepProgrammedLease({
    client: createClient(transport),
    component: "proxy",
    namespace: "inroad-system",
    name: "proxy-node-a",
    holder: "node-a",
    log: silentLog,
    clock,
  });
  /** Answers the next write and tells which version it stored, and when. */
  const write = async (status = 200) => {
    const { request, json } = await transport.next();
    const body = JSON.parse(String(request.body));
    json(status, status < 400 ? body : { kind: "Status", code: status });
    for (let count = 0; count < 5; count += 1) await turn();
    return {
      method: request.method,
      path: request.path,
      version: body.metadata?.annotations["inroad.dev/programmed"],
      body,
      at: clock.now() - 1_000_000,
    };
  };
  const announce = (endpointsVersion: string): void => lease.announce({ endpointsVersion });
  return { transport, clock, lease, write, announce };
}

test("the first announcement makes the Lease, where there is none", async () => {
  const { clock, write, announce } = start();
  announce("7");
  clock.advance(0);
  const { method, version } = await write(404);
  assert.deepEqual([method, version], ["PATCH", "7"]);
  const created = await write(201);
  assert.deepEqual([created.method, created.path], ["POST", path]);
  assert.deepEqual(created.body.metadata.labels, { "inroad.dev/programs": "proxy" });
  assert.deepEqual(created.body.spec, {
    holderIdentity: "node-a",
    leaseDurationSeconds: 4,
    renewTime: "1970-01-01T00:16:40.000000Z",
  });
});

test("announcements within 20 ms are written together, the newest counts, an older one is none", async () => {
  const { transport, clock, write, announce } = start();
  announce("7");
  clock.advance(0);
  await write();
  for (const version of ["8", "10", "9"]) announce(version);
  clock.advance(19);
  assert.equal(transport.waiting(), 0);
  clock.advance(1);
  const { version, at } = await write();
  assert.deepEqual([version, at], ["10", 20]);
});

test("without news it is renewed once a second", async () => {
  const { transport, clock, write, announce } = start();
  announce("7");
  clock.advance(0);
  await write();
  announce("7");
  clock.advance(999);
  assert.equal(transport.waiting(), 0);
  clock.advance(1);
  assert.deepEqual((await write()).version, "7");
});

test("a write that fails is tried again, with what is newest then", async () => {
  const { clock, write, announce } = start();
  announce("7");
  clock.advance(0);
  await write(500);
  announce("8");
  clock.advance(250);
  const { version, at } = await write();
  assert.deepEqual([version, at], ["8", 250]);
});

test("closed, the Lease is deleted and never written again", async () => {
  const { transport, clock, lease, write, announce } = start();
  announce("7");
  clock.advance(0);
  await write();
  const closed = lease.close();
  const { request, json } = await transport.next();
  assert.deepEqual([request.method, request.path], ["DELETE", `${path}/proxy-node-a`]);
  json(200, {});
  await closed;
  announce("8");
  assert.equal(clock.pending(), 0);
});

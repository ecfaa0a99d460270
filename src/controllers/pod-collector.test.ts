import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { kinds } from "#kube";
import { silentLog } from "#lib/log";
import { type ApiServer, createApiServer } from "#api";
import {
  type Client,
  type Controller,
  createClient,
  createInformers,
  createManualClock,
  type ManualClock,
} from "#client";
import { kind, nameOf } from "./objects.ts";
import { startPodCollector } from "./pod-collector.ts";

const podKind = kind("v1", "Pod");
const nodeKind = kind("v1", "Node");
const grace = 4000;

let api: ApiServer;
let client: Client;
let informers: ReturnType<typeof createInformers>;
let clock: ManualClock;
let collector: Controller;

beforeEach(async () => {
  api = createApiServer({
    serviceCIDRs: ["10.96.0.0/16"],
    nodePorts: { first: 30000, last: 32767 },
    kinds,
    log: silentLog,
    authenticate: { tokens: new Map() },
    debugToken: "",
  });
  client = createClient(api.transport({ name: "controllers", groups: ["system:masters"] }));
  informers = createInformers(client);
  clock = createManualClock();
  for (const node of ["node-a", "node-b"]) {
    await client.create(nodeKind, { metadata: { name: node } });
    const spec = { nodeName: node, containers: [{ name: "c", image: "app:1" }] };
    await client.create(podKind, { metadata: { name: `on-${node}`, namespace: "default" }, spec });
  }
  collector = startPodCollector({ client, informers, clock, log: silentLog }, grace);
  await until(() => pods().length === 2 && informers.of(nodeKind).list().length === 2);
  await client.delete(nodeKind, "node-b");
  await until(() => clock.pending() === 1);
});

afterEach(async () => {
  await collector.close();
  informers.close();
  api.close();
});

const pods = (): string[] => informers.of(podKind).list().map(nameOf);

async function until(check: () => boolean): Promise<void> {
  while (!check()) await nextTurn();
}

test("the pods of a deleted node go after the grace time, those of other nodes stay", async () => {
  clock.advance(grace - 1);
  await nextTurn();
  assert.equal(pods().length, 2);
  clock.advance(1);
  await until(() => pods().length === 1);
  assert.deepEqual(pods(), ["on-node-a"]);
});

test("a node that is there again in time keeps its pods", async () => {
  await client.create(nodeKind, { metadata: { name: "node-b" } });
  await until(() => informers.of(nodeKind).list().length === 2);
  const before = collector.metrics().reconciles;
  clock.advance(grace);
  await until(() => collector.metrics().reconciles > before);
  await nextTurn();
  assert.equal((await client.list(podKind)).items.length, 2);
});

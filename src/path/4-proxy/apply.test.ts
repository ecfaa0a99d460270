import { test } from "node:test";
import type { TestContext } from "node:test";
import assert from "node:assert/strict";
import { silentLog } from "#lib/log";
import type { Snapshot } from "#model";
import { startApplying } from "./apply.ts";
import type { Applier } from "./apply.ts";
import type { RuleBackend } from "./backend.ts";
import type { ProxyPlan } from "./plan.ts";
import { backendKey } from "./rotation.ts";
import { settableSource, testSnapshot } from "./testing.ts";

const LIST = "default/api:http/TCP";
const cluster = (...addresses: readonly string[]): Snapshot =>
  testSnapshot({ name: "api", clusterIP: "10.96.0.7", endpoints: addresses.map((address) => ({ address })) });

interface Recorded {
  readonly applier: Applier;
  readonly calls: string[];
  readonly programmed: Snapshot[];
  readonly source: ReturnType<typeof settableSource>;
  /** What the next calls throw. */
  readonly failures: Error[];
  turn: number;
}

/** Rules that only note what was asked of them: `sync 10.0.0.1:8080 10.0.0.2:8080`. */
function record(t: TestContext, initial: Snapshot): Recorded {
  const calls: string[] = [];
  const programmed: Snapshot[] = [];
  const failures: Error[] = [];
  const note = async (what: string, plan: ProxyPlan): Promise<void> => {
    const failure = failures.shift();
    const slots = plan.lists.get(LIST)?.slots.map(backendKey) ?? [];
    calls.push([failure === undefined ? what : `failed ${what}`, ...slots].join(" "));
    await new Promise((resolve) => setImmediate(resolve));
    if (failure !== undefined) throw failure;
  };
  const backend: RuleBackend = {
    sync: (plan) => note("sync", plan),
    update: (plan) => note("update", plan),
    turns: async (lists) => new Map(lists.map((list) => [list, state.turn])),
    rulesOf: async () => [],
    intact: async () => true,
    remove: async () => void calls.push("remove"),
  };
  const source = settableSource(initial);
  const applier = startApplying({
    source,
    node: "node-a",
    backend,
    log: silentLog,
    after: async () => undefined,
    onProgrammed: (snapshot) => programmed.push(snapshot),
    planOptions: () => ({}),
    recorder: { queued: () => undefined, synced: () => undefined, failed: () => undefined },
  });
  t.after(() => applier.close());
  const state: Recorded = { applier, calls, programmed, source, failures, turn: 0 };
  return state;
}

test("the first plan is a full one, later ones are changes, close removes", async (t) => {
  const at = record(t, cluster("10.0.0.1"));
  await at.applier.ready;
  const next = cluster("10.0.0.2");
  at.source.set(next);
  await at.applier.programmed(next);
  await at.applier.close();
  assert.deepEqual(at.calls, ["sync 10.0.0.1:8080", "update 10.0.0.2:8080", "remove"]);
});

test("snapshots that arrive while one is put in force are coalesced into the newest", async (t) => {
  const at = record(t, cluster("10.0.0.1"));
  const all = [2, 3, 4, 5].map((n) => cluster(`10.0.0.${n}`));
  for (const snapshot of all) at.source.set(snapshot);
  await Promise.all(all.map((snapshot) => at.applier.programmed(snapshot)));
  assert.ok(at.calls.length <= 2, at.calls.join(", "));
  assert.equal(at.programmed.at(-1), all.at(-1));
});

test("after a failure everything is put in force anew", async (t) => {
  const at = record(t, cluster("10.0.0.1"));
  await at.applier.ready;
  at.failures.push(new Error("killed"), new Error("killed again"));
  const next = cluster("10.0.0.2");
  at.source.set(next);
  await at.applier.programmed(next);
  assert.equal(at.applier.waitingFor(), 0);
  assert.deepEqual(at.calls.slice(1), [
    "failed update 10.0.0.2:8080",
    "failed sync 10.0.0.2:8080",
    "sync 10.0.0.2:8080",
  ]);
});

test("another number of endpoints: the order goes on where the kernel's counter stands", async (t) => {
  const at = record(t, cluster("10.0.0.1", "10.0.0.2", "10.0.0.3"));
  await at.applier.ready;
  const before = (at.calls[0] ?? "").split(" ").slice(1);
  at.turn = 2;
  const next = cluster("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4");
  at.source.set(next);
  await at.applier.programmed(next);
  assert.equal(at.calls[1], `update ${before[2]} ${before[0]} ${before[1]} 10.0.0.4:8080`);
});

test("whoever waits is told when it is closed before", async (t) => {
  const at = record(t, cluster("10.0.0.1"));
  at.failures.push(...Array.from({ length: 9 }, () => new Error("no nft")));
  const waiting = assert.rejects(at.applier.ready, /closed/);
  await at.applier.close();
  await waiting;
  assert.ok(at.calls.includes("remove"));
});

/** A node that is cut off, as clients on the internet see it. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { failoverLab, type FailoverLab, type Held } from "./failover-lab.ts";

let lab: FailoverLab;
before(async () => (lab = await failoverLab()));
after(() => lab.close());

/** How long after the cut new connections may fail; the benchmark tells how long they really do. */
const LIMIT_MS = 1500;

test("a node is cut off: new connections are soon answered by the others, established ones there go on", async (t) => {
  const held: Held[] = [];
  for (let i = 0; i < 27; i += 1) held.push(await lab.hold());
  const elsewhere = held.filter(({ by, on }) => by !== "node-b" && on !== "node-b");
  assert.ok(elsewhere.length >= 9, `${elsewhere.length} connections do not touch node-b`);
  assert.deepEqual(new Set(elsewhere.map(({ by }) => by)), new Set(["node-a", "node-c"]));

  const lasted = await lab.failover("node-b", 2500);
  t.diagnostic(`new connections failed until ${Math.round(lasted)} ms after the cut`);
  assert.ok(lasted > 0, "no connection failed: nothing was cut");
  assert.ok(lasted < LIMIT_MS, `connections still failed ${Math.round(lasted)} ms after the cut`);
  for (const { ask, on } of elsewhere) assert.match(await ask(), new RegExp(`^${on}/`));

  await lab.heal("node-b");
  await lab.steady();
});

test("by source hash clients spread, and when a node is cut off only its own move, until it is back", async () => {
  const count = 60;
  const before = await lab.hashed(count);
  assert.deepEqual(new Set(before), new Set(["node-a", "node-b", "node-c"]));
  assert.deepEqual(await lab.hashed(count), before);

  await lab.failover("node-c", 1000);
  const during = await lab.hashed(count);
  assert.deepEqual(new Set(during), new Set(["node-a", "node-b"]));
  const moved = before.filter((node, i) => node !== "node-c" && node !== during[i]);
  assert.ok(moved.length <= count / 10, `${moved.length} clients of other nodes moved`);

  await lab.heal("node-c");
  await lab.steady();
  assert.deepEqual(await lab.hashed(count), before);
});

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { createLog, silentLog } from "#lib/log";
import { queryFor, type DnsCarrier, type DnsEndpoint } from "#serve/dns";
import { decodeMessage, encodeMessage, type ResourceRecord } from "#wire/dns";
import { createUpstreams, type UpstreamOptions } from "./upstreams.ts";

const servers = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map((address) => ({ address, port: 53 }));
const query = queryFor({ name: "a.example.", type: "A" });

/** Servers of which some are dead; `asked` has `address transport name` of every exchange. */
function network(dead: Set<string>, cut = false) {
  const asked: string[] = [];
  const carry: DnsCarrier = async (server, bytes, transport) => {
    const message = decodeMessage(bytes);
    const name = message.questions[0]?.name ?? "";
    asked.push(`${server.address} ${transport} ${name}`);
    if (dead.has(server.address)) throw new Error("dead");
    const answer: ResourceRecord = { name, ttl: 1, type: "A", address: server.address };
    const truncated = cut && transport === "udp";
    return encodeMessage({ ...message, response: true, truncated, answers: truncated ? [] : [answer] });
  };
  return { carry, asked };
}

function make(t: TestContext, options: Partial<UpstreamOptions> & Pick<UpstreamOptions, "carry">) {
  const upstreams = createUpstreams({ servers, policy: "sequential", log: silentLog, ...options });
  t.after(() => upstreams.close());
  const ask = async (): Promise<string> => {
    const [record] = decodeMessage(await upstreams.forward(query, "udp")).answers;
    return record?.type === "A" ? record.address : "";
  };
  return { ...upstreams, ask };
}

/** Lets promises that are already fulfilled go on. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("sequential asks the first, round robin each in turn, random all of them sometime", async (t) => {
  const { carry } = network(new Set());
  const first = make(t, { carry });
  assert.deepEqual([await first.ask(), await first.ask()], ["192.0.2.1", "192.0.2.1"]);
  const turns = make(t, { carry, policy: "round_robin" });
  const order = [await turns.ask(), await turns.ask(), await turns.ask(), await turns.ask()];
  assert.deepEqual(order, ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1"]);
  const random = make(t, { carry, policy: "random" });
  const met = new Set<string>();
  for (let i = 0; i < 200; i++) met.add(await random.ask());
  assert.equal(met.size, 3);
});

test("a query goes on to the next server when one fails", async (t) => {
  const { carry } = network(new Set(["192.0.2.1", "192.0.2.2"]));
  assert.equal(await make(t, { carry }).ask(), "192.0.2.3");
});

test("a failing server is probed, left out, and comes back when a probe is answered", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const dead = new Set(["192.0.2.1"]);
  const { carry, asked } = network(dead);
  const lines: string[] = [];
  const failures: DnsEndpoint[] = [];
  const log = createLog("dns", (line) => lines.push(line.replace(/^\S+ /, "")));
  const { ask, states } = make(t, { carry, log, onProbeFailure: (server) => failures.push(server) });
  const down = (): boolean[] => states().map((state) => state.down);

  assert.equal(await ask(), "192.0.2.2");
  await settle();
  assert.deepEqual(down(), [false, false, false], "one failed probe proves nothing");
  t.mock.timers.tick(500);
  await settle();
  assert.deepEqual(down(), [true, false, false]);
  assert.equal(failures.length, 2);

  asked.length = 0;
  assert.equal(await ask(), "192.0.2.2");
  assert.deepEqual(asked, ["192.0.2.2 udp a.example."], "it is not asked while it is out");

  dead.clear();
  t.mock.timers.tick(500);
  await settle();
  assert.deepEqual(down(), [false, false, false]);
  assert.equal(await ask(), "192.0.2.1");
  asked.length = 0;
  t.mock.timers.tick(10_000);
  await settle();
  assert.deepEqual(asked, [], "a server that answers is not probed");
  assert.deepEqual(lines, [
    "dns: warn: upstream resolver is out server=192.0.2.1:53 error=dead",
    "dns: upstream resolver answers again server=192.0.2.1:53",
  ]);
});

test("when all are out, one is asked all the same, and its answer brings it back", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const dead = new Set(servers.map(({ address }) => address));
  let broken = 0;
  const { carry } = network(dead);
  const { ask, states } = make(t, { carry, onAllDown: () => (broken += 1) });
  await assert.rejects(ask(), { message: "dead" });
  await settle();
  t.mock.timers.tick(500);
  await settle();
  assert.ok(states().every((state) => state.down));
  await assert.rejects(ask(), { message: "dead" });
  assert.equal(broken, 1);
  dead.clear();
  assert.equal(await ask(), "192.0.2.1");
  assert.equal(states()[0]?.down, false);
});

test("a cut answer is fetched again, whole, by TCP", async (t) => {
  const { carry, asked } = network(new Set(), true);
  assert.equal(await make(t, { carry }).ask(), "192.0.2.1");
  assert.deepEqual(asked, ["192.0.2.1 udp a.example.", "192.0.2.1 tcp a.example."]);
});

test("no further server is tried beyond the deadline", async (t) => {
  const { carry, asked } = network(new Set(servers.map(({ address }) => address)));
  const { ask } = make(t, { carry, deadlineMs: 0 });
  await assert.rejects(ask(), { message: "dead" });
  assert.deepEqual(
    asked.filter((line) => line.endsWith("a.example.")),
    ["192.0.2.1 udp a.example."],
  );
});

test("without a server there is nobody to ask", async (t) => {
  const { carry } = network(new Set());
  await assert.rejects(make(t, { carry, servers: [] }).ask(), { code: "NoUpstream" });
});

test("every exchange is told, with its response or without", async (t) => {
  const told: string[] = [];
  const { carry } = network(new Set(["192.0.2.1"]));
  const { ask } = make(t, {
    carry,
    onExchange: (server, milliseconds, reply) =>
      told.push(`${server.address} ${milliseconds >= 0} ${reply === undefined ? "none" : "reply"}`),
  });
  await ask();
  assert.deepEqual(told, ["192.0.2.1 true none", "192.0.2.2 true reply"]);
});

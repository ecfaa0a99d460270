import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type TestContext, test } from "node:test";
import { silentLog } from "#lib/log";
import { decodeMessage, encodeMessage, formatRecord, rcodes, type ResourceRecord } from "#wire/dns";
import { resolveName, searchNames, type ResolverConfig } from "./dns-resolver.ts";
import { startDnsServer } from "./dns-server.ts";
import { threadSockets, type DnsEndpoint } from "./dns-sockets.ts";

const search = ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"];

test("a name with fewer than ndots dots goes through the search list first", () => {
  assert.deepEqual(searchNames({ search, ndots: 5 }, "api-service"), [
    "api-service.default.svc.cluster.local.",
    "api-service.svc.cluster.local.",
    "api-service.cluster.local.",
    "api-service.",
  ]);
  assert.deepEqual(searchNames({ search: ["a.b"], ndots: 2 }, "x.y.z"), ["x.y.z.", "x.y.z.a.b."]);
  assert.deepEqual(searchNames({ search, ndots: 5 }, "x.y."), ["x.y."]);
});

/** name -> what the server says: addresses, or a response code, or silence. */
type Zone = Readonly<Record<string, readonly string[] | keyof typeof rcodes | "silent">>;

async function server(t: TestContext, zone: Zone, asked: string[] = []): Promise<DnsEndpoint> {
  const loopback = { address: "127.0.0.1", port: 0 };
  const started = await startDnsServer({
    udp: loopback,
    log: silentLog,
    handler: ({ question }, peer) => {
      asked.push(`${peer.transport} ${question.name}`);
      const entry = zone[question.name] ?? "NXDOMAIN";
      if (entry === "silent") return new Promise(() => undefined);
      if (typeof entry === "string") return { rcode: rcodes[entry] };
      const answers = entry.map((address): ResourceRecord => ({
        name: question.name,
        ttl: 5,
        type: "A",
        address,
      }));
      return { rcode: 0, answers };
    },
  });
  t.after(() => started.close());
  return { address: "127.0.0.1", port: started.udpPort ?? 0 };
}

async function configFor(t: TestContext, zone: Zone, asked?: string[]): Promise<ResolverConfig> {
  return { nameservers: [await server(t, zone, asked)], search, ndots: 5, timeoutMs: 100, attempts: 2 };
}

const outcomes = (tried: readonly { name: string; outcome: string }[]): string[] =>
  tried.map((attempt) => `${attempt.outcome} ${attempt.name}`);

test("the first name of the list that has the record answers", async (t) => {
  const config = await configFor(t, { "api.svc.cluster.local.": ["10.96.1.1"] });
  const result = await resolveName(config, "api", "A");
  assert.equal(result.outcome, "answered");
  assert.equal(result.name, "api.svc.cluster.local.");
  assert.deepEqual(result.records.map(formatRecord), ["api.svc.cluster.local. 5 IN A 10.96.1.1"]);
  assert.deepEqual(outcomes(result.tried), [
    "nxdomain api.default.svc.cluster.local.",
    "answered api.svc.cluster.local.",
  ]);
});

for (const [what, zone, outcome, last] of [
  ["NXDOMAIN everywhere is NXDOMAIN", {}, "nxdomain", "nxdomain api."],
  [
    "NODATA goes on, and is the result when nothing answers",
    { "api.default.svc.cluster.local.": [] },
    "nodata",
    "nxdomain api.",
  ],
  [
    "SERVFAIL goes on",
    { "api.default.svc.cluster.local.": "SERVFAIL", "api.svc.cluster.local.": ["1.2.3.4"] },
    "answered",
    "answered api.svc.cluster.local.",
  ],
  [
    "SERVFAIL and no answer is a failure",
    { "api.default.svc.cluster.local.": "SERVFAIL" },
    "failed",
    "nxdomain api.",
  ],
  [
    "silence ends the search",
    { "api.svc.cluster.local.": "silent" },
    "failed",
    "failed api.svc.cluster.local.",
  ],
] as const satisfies readonly (readonly [string, Zone, string, string])[]) {
  test(what, async (t) => {
    const result = await resolveName(await configFor(t, zone), "api", "A");
    assert.deepEqual([result.outcome, outcomes(result.tried).at(-1)], [outcome, last]);
  });
}

test("a server that refuses or is not there hands over to the next one", async (t) => {
  const refusing = await server(t, { "api.": "REFUSED" });
  const good = await server(t, { "api.": ["10.0.0.1"] });
  const gone = createSocket("udp4").bind(0, "127.0.0.1");
  await once(gone, "listening");
  const closed = { address: "127.0.0.1", port: gone.address().port };
  gone.close();
  const config = { nameservers: [closed, refusing, good], search: [], ndots: 1, timeoutMs: 2000 };
  const started = Date.now();
  const result = await resolveName(config, "api.", "A");
  assert.equal(result.tried[0]?.server, `127.0.0.1:${good.port}`);
  assert.ok(Date.now() - started < 1500, "a closed port is noticed without waiting");
});

test("a silent server is asked once per attempt", async (t) => {
  const asked: string[] = [];
  const config = await configFor(t, { "api.": "silent" }, asked);
  const result = await resolveName(config, "api.", "A");
  assert.deepEqual([result.outcome, asked], ["failed", ["udp api.", "udp api."]]);
  assert.equal(result.tried[0]?.reason, "no answer within 100 ms");
});

test("an answer that was cut is asked for again by TCP", async (t) => {
  const loopback = { address: "127.0.0.1", port: 0 };
  const many = Array.from({ length: 200 }, (_, i) => `10.0.0.${i}`);
  const handler = () => ({
    rcode: 0,
    answers: many.map((address): ResourceRecord => ({ name: "big.", ttl: 5, type: "A", address })),
  });
  const started = await startDnsServer({ udp: loopback, tcp: loopback, log: silentLog, handler });
  t.after(() => started.close());
  const sockets = {
    udp: threadSockets.udp,
    tcp: () => threadSockets.tcp({ address: "127.0.0.1", port: started.tcpPort ?? 0 }),
  };
  const nameservers = [{ address: "127.0.0.1", port: started.udpPort ?? 0 }];
  const result = await resolveName({ nameservers, search: [], ndots: 1, sockets }, "big.", "A");
  assert.deepEqual([result.records.length, result.tried[0]?.transport], [200, "tcp"]);
});

test("a forged answer is ignored: wrong id, wrong question", async (t) => {
  const liar = createSocket("udp4").bind(0, "127.0.0.1");
  t.after(() => liar.close());
  await once(liar, "listening");
  liar.on("message", (bytes, peer) => {
    const query = decodeMessage(bytes);
    const answers: ResourceRecord[] = [{ name: "api.", ttl: 5, type: "A", address: "6.6.6.6" }];
    const good: ResourceRecord[] = [{ name: "api.", ttl: 5, type: "A", address: "10.0.0.1" }];
    const questions = [{ name: "other.", type: "A", class: 1 }];
    for (const reply of [
      { ...query, answers },
      { ...query, response: true, id: query.id ^ 1, answers },
      { ...query, response: true, questions, answers },
      { ...query, response: true, answers: good },
    ]) {
      liar.send(encodeMessage(reply), peer.port, peer.address);
    }
  });
  const nameservers = [{ address: "127.0.0.1", port: liar.address().port }];
  const result = await resolveName({ nameservers, search: [], ndots: 1 }, "api.", "A");
  assert.deepEqual(result.records.map(formatRecord), ["api. 5 IN A 10.0.0.1"]);
});

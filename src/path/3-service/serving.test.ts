import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { createLog, silentLog } from "#lib/log";
import type { Snapshot } from "#model";
import { queryFor, socketCarrier } from "#serve/dns";
import { decodeMessage, formatRecord, type ResourceRecord } from "#wire/dns";
import { nameServer } from "../../serve/dns-testing.ts";
import { startDns } from "./apply.ts";
import type { Forward } from "./forward.ts";
import { createDnsMetrics } from "./metrics.ts";
import { start, upstream, type Running } from "./testing-server.ts";
import { cluster, endpoint, port, service, without } from "./testing.ts";
import { createUpstreams } from "./upstreams.ts";

const records = ({ records: all }: { readonly records: readonly ResourceRecord[] }): string[] =>
  all.map(formatRecord);

test("a StatefulSet's name resolves at once, although it was denied a moment before", async (t) => {
  const forward = upstream({});
  const { ask, set } = await start(t, { forward }, undefined, without("default/db"));
  const name = "db-0.db.default.svc.cluster.local.";
  assert.equal((await ask(name)).outcome, "nxdomain");
  assert.equal((await ask("7.0.244.10.in-addr.arpa.", "PTR")).outcome, "nxdomain");
  set(cluster);
  assert.deepEqual(records(await ask(name)), [`${name} 5 IN A 10.244.0.7`]);
  // Its reverse name had been denied by the upstream, and that denial may be kept; the cluster's own answer comes first.
  assert.deepEqual(records(await ask("7.0.244.10.in-addr.arpa.", "PTR")), [
    `7.0.244.10.in-addr.arpa. 5 IN PTR ${name}`,
  ]);
});

test("a host that becomes an Ingress's is no longer answered from the upstream's kept answer", async (t) => {
  const forward = upstream({ "new.example.": ["192.0.2.1"] });
  const { ask, set } = await start(t, { forward });
  assert.deepEqual(records(await ask("new.example.")), ["new.example. 60 IN A 192.0.2.1"]);
  set({ ...cluster, publicNames: new Map([["new.example", { addresses: ["203.0.113.128"] }]]) });
  assert.deepEqual(records(await ask("new.example.")), ["new.example. 5 IN A 203.0.113.128"]);
});

test("names of a stub domain go to its own resolvers, the most specific one first", async (t) => {
  const forward = upstream({ "a.example.": ["192.0.2.1"] });
  const stub = upstream({ "a.Corp.example.": ["192.0.2.2"], "corp.example.": ["192.0.2.3"] });
  const deep = upstream({ "a.deep.corp.example.": ["192.0.2.4"] });
  const { ask } = await start(t, {
    forward,
    stubDomains: [
      { domain: "Corp.example", forward: stub },
      { domain: "deep.corp.example.", forward: deep },
    ],
  });
  const addresses: string[] = [];
  for (const name of ["a.example.", "a.Corp.example.", "corp.example.", "a.deep.corp.example."]) {
    addresses.push(...records(await ask(name)).map((line) => line.split(" ").at(-1) ?? ""));
  }
  assert.deepEqual(addresses, ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]);
  assert.deepEqual(forward.asked, ["a.example."]);
});

test("an answer that the upstream had to cut arrives whole, by way of TCP at both ends", async (t) => {
  const many = Array.from({ length: 120 }, (_, i) => `192.0.2.${i}`);
  const asked: string[] = [];
  const server = await nameServer(t, (name, transport) => {
    asked.push(`${transport} ${name}`);
    return many;
  });
  const upstreams = createUpstreams({
    servers: [server],
    carry: socketCarrier({ timeoutMs: 5000 }),
    log: silentLog,
  });
  t.after(() => upstreams.close());
  const { ports } = await start(t, { forward: upstreams.forward });
  const ask = async (transport: "udp" | "tcp") => {
    const endpointOf = { address: "127.0.0.1", port: ports[transport] ?? 0 };
    const query = queryFor({ name: "many.example.", type: "A" });
    return decodeMessage(await socketCarrier({ timeoutMs: 5000 })(endpointOf, query, transport));
  };
  assert.equal((await ask("udp")).truncated, true);
  assert.equal((await ask("tcp")).answers.length, 120);
  assert.deepEqual(
    asked,
    ["udp many.example.", "tcp many.example."],
    "the client's second query is answered from the cache",
  );
});

const client = cluster.pods.get("default/client");
assert.ok(client !== undefined);
/** The tests' own address is that of a pod of namespace default. */
const knowing: Snapshot = { ...cluster, podsByAddress: new Map([["127.0.0.1", client]]) };
const autopath = { hostSearch: [] };

test("with autopath the first query of a search list is answered with what a later one would find", async (t) => {
  const forward = upstream({ "www.example.com.": ["192.0.2.1"] });
  const metrics = createDnsMetrics("dns://:53", "cluster.local");
  const { ask } = await start(t, { forward, autopath, metrics }, undefined, knowing);
  const result = await ask("www.example.com");
  assert.deepEqual(
    result.tried.map(({ name }) => name),
    ["www.example.com.default.svc.cluster.local."],
  );
  assert.deepEqual(records(result), [
    "www.example.com.default.svc.cluster.local. 5 IN CNAME www.example.com.",
    "www.example.com. 60 IN A 192.0.2.1",
  ]);
  assert.deepEqual(records(await ask("kube-dns.kube-system")), [
    "kube-dns.kube-system.default.svc.cluster.local. 5 IN CNAME kube-dns.kube-system.svc.cluster.local.",
    "kube-dns.kube-system.svc.cluster.local. 5 IN A 10.96.0.10",
  ]);
  assert.match(metrics.text(), /coredns_autopath_success_total{server="dns:\/\/:53"} 2/);
});

test("with autopath a name that is nowhere is denied as before, and the client finds out by itself", async (t) => {
  const forward = upstream({});
  const { ask } = await start(t, { forward, autopath }, undefined, knowing);
  const result = await ask("none.example");
  assert.equal(result.outcome, "nxdomain");
  assert.equal(result.tried.length, 4);
  const failing: Forward = () => Promise.reject(new Error("gone"));
  const alone = await start(t, { forward: failing, autopath }, undefined, knowing);
  assert.equal((await alone.ask("none.example.default.svc.cluster.local.")).outcome, "nxdomain");
});

test("an upstream that asks back is noticed, and nothing is forwarded any more", async (t) => {
  const lines: string[] = [];
  const log = createLog("dns", (line) => lines.push(line));
  const running = Promise.withResolvers<Running>();
  const looped = Promise.withResolvers<void>();
  let sent = 0;
  const forward: Forward = async (query, transport) => {
    sent += 1;
    const { udp = 0 } = (await running.promise).ports;
    const reply = await socketCarrier({ timeoutMs: 5000 })(
      { address: "127.0.0.1", port: udp },
      query,
      transport,
    );
    if (sent === 1) looped.resolve();
    return reply;
  };
  const self = await start(t, { forward, loopProbe: true, log });
  running.resolve(self);
  await looped.promise;
  assert.equal(sent, 1, "the probe was stopped when it came back");
  assert.equal((await self.ask("www.example.com.")).tried[0]?.reason, "SERVFAIL");
  assert.equal(sent, 1);
  assert.match(lines.join("\n"), /forwarding loop/);
  assert.equal((await self.ask("api-service")).outcome, "answered");
});

test("an upstream that does not ask back is used", async (t) => {
  const forward = upstream({ "www.example.com.": ["192.0.2.1"] });
  const { ask } = await start(t, { forward, loopProbe: true });
  assert.equal((await ask("www.example.com.")).outcome, "answered");
  assert.match(forward.asked[0] ?? "", /^\d+\.\d+\.$/);
});

const anyPort = { host: "127.0.0.1", port: 0 };
const endpoints = { metrics: anyPort, health: anyPort, ready: anyPort };

async function get(portNumber: number | undefined, path: string, method = "GET") {
  const { request } = await import("#lib/http");
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  request({ host: "127.0.0.1", port: portNumber, path, method, agent: false }, (response) => {
    let body = "";
    response.setEncoding("utf8");
    response.on("data", (chunk) => (body += chunk));
    response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
  })
    .on("error", reject)
    .end();
  return promise;
}

test("it is ready when it knows the cluster and not before, and healthy all the while", async (t) => {
  const synced = Promise.withResolvers<void>();
  const { ports, dns } = await start(t, { endpoints }, synced.promise);
  assert.deepEqual(await get(ports.ready, "/ready"), { status: 503, body: "kubernetes" });
  assert.deepEqual(await get(ports.health, "/health"), { status: 200, body: "OK" });
  synced.resolve();
  await dns.ready;
  assert.deepEqual(await get(ports.ready, "/ready"), { status: 200, body: "OK" });
});

test("on its way out it says that it is not ready, and still answers for the lameduck time", async (t) => {
  const { ports, dns, ask } = await start(t, { endpoints, lameduckMs: 60_000 });
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let closed = false;
  const closing = dns.close().then(() => (closed = true));
  assert.deepEqual(await get(ports.ready, "/ready"), { status: 503, body: "Shutting down" });
  assert.deepEqual(await get(ports.health, "/health"), { status: 200, body: "OK" });
  assert.equal((await ask("api-service")).outcome, "answered");
  assert.equal(closed, false);
  t.mock.timers.tick(60_000);
  await closing;
  await assert.rejects(get(ports.health, "/health"));
});

test("metrics and the account of clients are read over HTTP, and nothing can be written", async (t) => {
  const { ports, ask } = await start(t, { endpoints }, undefined, knowing);
  await ask("none.default.svc.cluster.local.");
  const metrics = await get(ports.metrics, "/metrics");
  assert.match(metrics.body, /coredns_dns_responses_total{.*rcode="NXDOMAIN".*} 1\n/);
  const { clients } = JSON.parse((await get(ports.metrics, "/clients")).body);
  assert.deepEqual(clients, [
    { address: "127.0.0.1", pod: "default/client", queries: 1, nxdomain: 1, servfail: 0, nxdomainShare: 1 },
  ]);
  for (const [path, method, status] of [
    ["/metrics", "POST", 405],
    ["/other", "GET", 404],
    ["/__proto__", "GET", 404],
    ["//", "GET", 404],
  ] as const) {
    assert.equal((await get(ports.metrics, path, method)).status, status);
  }
});

test("metrics say how long changes of endpoints took to be answered", async (t) => {
  const metrics = createDnsMetrics("dns://:53", "cluster.local");
  const { set } = await start(t, { metrics, now: () => 9_250 });
  const db = service("default/db", { headless: true, selector: { app: "db" }, endpointsChangedAt: 9_000 });
  set({ ...cluster, services: new Map([["default/db", db]]) });
  assert.match(
    metrics.text(),
    /^coredns_kubernetes_dns_programming_duration_seconds_sum\{service_kind="headless_with_selector"\} 0.25$/m,
  );
});

test("a port that is taken is an error that names it", async (t) => {
  const { ports } = await start(t, { endpoints });
  const source = { current: () => cluster, subscribe: () => () => undefined };
  const taken = { health: { host: "127.0.0.1", port: ports.health ?? 0 } };
  const second = startDns({ source, listen: {}, endpoints: taken, log: silentLog });
  await assert.rejects(second.ready, { code: "ListenFailed" });
  await assert.rejects(second.close(), { code: "ListenFailed" });
});

test("queries are logged when that is wished", async (t: TestContext) => {
  const lines: string[] = [];
  const { ask } = await start(t, { queryLog: "denial", log: createLog("dns", (line) => lines.push(line)) });
  await ask("api-service");
  await ask("none.default.svc.cluster.local.");
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /"A IN none\.default\.svc\.cluster\.local\. udp .*" NXDOMAIN qr,aa,rd /);
});

test("the zone's options reach the server", async (t) => {
  const members = [endpoint("10.244.0.30", { pod: { namespace: "default", name: "db-x" } })];
  const snapshot: Snapshot = {
    ...cluster,
    services: new Map([
      [
        "default/m",
        service("default/m", { headless: true, ports: [port("sql", 1, { endpoints: members })] }),
      ],
    ]),
  };
  const { ask } = await start(t, { zone: { ttl: 9, endpointPodNames: true } }, undefined, snapshot);
  const name = "db-x.m.default.svc.cluster.local.";
  assert.deepEqual(records(await ask(name)), [`${name} 9 IN A 10.244.0.30`]);
});

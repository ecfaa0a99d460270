/** The Service rules of this process, by connections over the loopback device: turns, schedulers, evidence. What else every mode does: `contract.test.ts`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { tcpConnect } from "#kernel";
import type { Flow, Place } from "#model";
import { explain } from "../explain.ts";
import { chosenEndpoint } from "../observe.ts";
import type { TestEndpoint, TestService } from "../testing.ts";
import { ADDRESSES, api, CLUSTER_IP, NODE, pod, VIP } from "../contract.ts";
import { assertEveryWindow, counts } from "../../../../test/net/proxy-lab.ts";
import { ask, askMany, datagramClient, lab } from "../../../../test/support/userspace-lab.ts";

const [pod1, pod2, pod3, pod4] = [pod("pod-1"), pod("pod-2"), pod("pod-3"), pod("pod-4")];
const three = [pod1, pod2, pod3];
const LIST = "default/api:http/TCP";

test("300 connections to a ClusterIP go 100/100/100, and every window of three meets all", async (t) => {
  const { client } = await lab(t, [api(three)]);
  const names = await askMany(client, 300);
  assert.deepEqual(counts(names), { "pod-1": 100, "pod-2": 100, "pod-3": 100 });
  assertEveryWindow(names, 3);
});

test("connections at the same time spread evenly as well", async (t) => {
  const { client } = await lab(t, [api(three)]);
  const answers = await Promise.all(Array.from({ length: 300 }, () => ask(client, CLUSTER_IP, 80)));
  const names = answers.map((answer) => answer.split(" ")[0] ?? "");
  assert.deepEqual(counts(names), { "pod-1": 100, "pod-2": 100, "pod-3": 100 });
});

test("ClusterIP, NodePort and load-balancer address of a Service port share one order", async (t) => {
  const { client } = await lab(t, [api(three)]);
  const places = [
    [CLUSTER_IP, 80],
    [NODE, 30080],
    [VIP, 80],
    [VIP, 80],
  ] as const;
  assertEveryWindow(await askMany(client, 40, (i) => places[i % 4] ?? [VIP, 80]), 3);
});

test("two Services have counters of their own", async (t) => {
  const other = { name: "other", clusterIP: "10.96.0.8", endpoints: three };
  const { client } = await lab(t, [api(three), other]);
  const names = await askMany(client, 24, (i) => [i % 2 === 0 ? CLUSTER_IP : "10.96.0.8", 80]);
  for (const half of [0, 1])
    assertEveryWindow(
      names.filter((_, i) => i % 2 === half),
      3,
    );
});

test("an endpoint replaced by another takes its turns, and the order goes on", async (t) => {
  const at = await lab(t, [api(three)]);
  const before = await askMany(at.client, 4);
  await at.set(api([pod1, pod4, pod3]));
  const after = await askMany(at.client, 8);
  const renamed = before.map((name) => (name === "pod-2" ? "pod-4" : name));
  assertEveryWindow([...renamed, ...after], 3);
});

test("when their number changes, the endpoint in turn is still the next", async (t) => {
  const at = await lab(t, [api(three)]);
  const before = await askMany(at.client, 5);
  await at.set(api([...three, pod4]));
  const grown = await askMany(at.client, 8);
  assert.equal(grown[0], before[2]);
  assertEveryWindow(grown, 4);
  await at.set(api(three));
  assertEveryWindow(await askMany(at.client, 9), 3);
});

test("another Service's changes do not disturb the order", async (t) => {
  const at = await lab(t, [api(three)]);
  const names: string[] = [];
  for (let i = 0; i < 6; i++) {
    names.push(...(await askMany(at.client, 2)));
    await at.set(api(three), { name: "other", clusterIP: "10.96.0.8", endpoints: three.slice(i % 3) });
  }
  assertEveryWindow(names, 3);
});

test("no connection hangs or fails while endpoints come and go", async (t) => {
  const at = await lab(t, [api(three)]);
  const answers = new Set<string>();
  const end = new AbortController();
  const clients = Array.from({ length: 4 }, async () => {
    while (!end.signal.aborted) answers.add((await ask(at.client, CLUSTER_IP, 80)).split(" ")[0] ?? "");
  });
  for (let i = 0; i < 25; i++) {
    await at.set(api([...three, pod4].slice(i % 3, (i % 3) + 1 + ((i * 7) % 4))));
    await askMany(at.client, 1);
  }
  end.abort();
  await Promise.all(clients);
  assert.deepEqual([...answers].sort(), ["pod-1", "pod-2", "pod-3", "pod-4"]);
});

test("without ready endpoints nobody listens, and connections go on when there is one", async (t) => {
  const at = await lab(t, [api([{ ...pod1, ready: false }])]);
  assert.equal(await ask(at.client, CLUSTER_IP, 80), "ECONNREFUSED");
  await at.set(api([pod1]));
  assert.deepEqual(await askMany(at.client, 1), ["pod-1"]);
});

test("a Service that is gone is refused", async (t) => {
  const at = await lab(t, [api(three)]);
  await at.set();
  assert.equal(await ask(at.client, CLUSTER_IP, 80), "ECONNREFUSED");
});

test("what explain() predicts is what the connection does, to the endpoint whose turn it is", async (t) => {
  const at = await lab(t, [api(three)]);
  const place: Place = { at: "proxy", node: "node-a", from: "outside" };
  for (const [address, port] of [
    [CLUSTER_IP, 80],
    [NODE, 30080],
    [VIP, 80],
    [VIP, 80],
  ] as const) {
    const rotation = await at.proxy.rotation([LIST]);
    const flow: Flow = {
      protocol: "TCP",
      source: { address: ADDRESSES.client.IPv4 },
      destination: { address, port },
    };
    const told = explain(at.source.current(), place, flow, { mode: "userspace", rotation });
    const chosen = told.steps[0]?.decision?.chosen;
    assert.equal(`default/${(await ask(at.client, address, port)).split(" ")[0]}`, chosen);
    const [newest, ...older] = await at.proxy.connections({ protocol: "tcp", destination: address });
    assert.ok(newest);
    const seen = chosenEndpoint([newest], flow);
    const wanted = told.steps[0]?.decision?.candidates.find(({ name }) => name === chosen);
    assert.equal(seen?.endpoint.address, wanted?.address);
    assert.equal(seen?.masqueradedTo?.address, NODE);
    assert.ok(older.length <= 1);
  }
  assert.match((await at.proxy.rulesOf(LIST)).join(), /^default\/api:http\/TCP: rr of 10\.244/);
});

test("connections to load-balancer addresses from outside go to the node that the load balancer names", async (t) => {
  const at = await lab(t, [api(three)]);
  const key = `${VIP} . tcp . 80`;
  at.network.steer(new Map([[key, () => "node-a"]]));
  assert.match(await ask(at.client, VIP, 80), /^pod/);
  at.network.steer(new Map([[key, () => undefined]]));
  assert.equal(await ask(at.client, VIP, 80), "ECONNRESET");
  assert.match(await ask(at.node, VIP, 80), /^pod/);
});

test("with scheduler wrr pods get connections by their weights", async (t) => {
  const weighted = [{ ...pod1, weight: 3 }, { ...pod2, weight: 2 }, pod3];
  const at = await lab(t, [api(weighted, { scheduler: "wrr" })]);
  assert.deepEqual(counts(await askMany(at.client, 12)), { "pod-1": 6, "pod-2": 4, "pod-3": 2 });
});

test("with scheduler lc a connection goes where fewest are open", async (t) => {
  const at = await lab(t, [api(three, { scheduler: "lc" })]);
  const busy = new Set<string>();
  for (const [name, pod] of at.servers) {
    pod.serve = (socket) => {
      busy.add(name);
      socket.resume().once("end", () => socket.end());
    };
  }
  const held = [0, 1].map(() => tcpConnect(at.client, CLUSTER_IP, 80).resume());
  t.after(() => held.forEach((socket) => socket.destroy()));
  while (busy.size < 2) await new Promise(setImmediate);
  for (const [name, pod] of at.servers) pod.serve = (socket) => socket.resume().end(name);
  const idle = three.map(({ pod }) => pod).find((name = "") => !busy.has(name));
  for (let i = 0; i < 4; i += 1) {
    assert.equal(await ask(at.client, CLUSTER_IP, 80), idle);
    // The proxy learns of the end a moment later than the client.
    const open = async (): Promise<number> =>
      (await at.proxy.connections({ protocol: "tcp" })).filter(({ state }) => state === "ESTABLISHED").length;
    while ((await open()) > 2) await new Promise(setImmediate);
  }
});

test("with scheduler sh a client meets one endpoint, whichever address it uses", async (t) => {
  const at = await lab(t, [api(three, { scheduler: "sh" })]);
  const places = [
    [CLUSTER_IP, 80],
    [VIP, 80],
  ] as const;
  const names = await askMany(at.client, 6, (i) => places[i % 2] ?? [VIP, 80]);
  assert.equal(new Set(names).size, 1);
});

test("UDP: a client that keeps its port keeps its endpoint, and another gets the next", async (t) => {
  const dns = {
    name: "dns",
    clusterIP: "10.96.0.10",
    port: 53,
    protocol: "UDP",
    endpoints: [pod1, pod3, pod4],
  } as const;
  const at = await lab(t, [dns]);
  const [first, second, third] = [0, 1, 2].map(() => datagramClient(t, at.pod("pod-2")));
  assert.ok(first && second && third);
  const answers = [];
  for (const query of [first, second, third, first, second]) answers.push(await query("10.96.0.10", 53));
  assert.deepEqual(answers.slice(3), answers.slice(0, 2));
  assert.deepEqual(answers.slice(0, 3).sort(), ["pod-1 10.244.0.3", "pod-3 10.244.0.3", "pod-4 10.244.0.3"]);
});

test("UDP: a client that keeps its port is not sent to an endpoint that is gone", async (t) => {
  const dns = (endpoint: TestEndpoint): TestService => ({
    name: "dns",
    clusterIP: "10.96.0.10",
    port: 53,
    protocol: "UDP",
    endpoints: [endpoint],
  });
  const at = await lab(t, [dns(pod1)]);
  const query = datagramClient(t, at.pod("pod-2"));
  assert.equal(await query("10.96.0.10", 53), "pod-1 10.244.0.3");
  await at.set(dns(pod3));
  assert.equal(await query("10.96.0.10", 53), "pod-3 10.244.0.3");
});

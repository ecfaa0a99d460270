/** Session affinity (ClientIP) in every mode of rules, shown with packets of many clients. */
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import assert from "node:assert/strict";
import { ipBatch } from "#kernel";
import {
  ADDRESSES,
  CLUSTER_IP,
  CLUSTER_IP6,
  NODE,
  VIP,
  api,
  pod,
  pod6,
} from "../../src/path/4-proxy/contract.ts";
import type { TestService } from "../../src/path/4-proxy/testing.ts";
import { ask, askUdp, assertEveryWindow, everyMode, eventually, lab, nameIn } from "./proxy-lab.ts";
import type { Lab, LabMode } from "./proxy-lab.ts";

const LIST = "default/api:http/TCP";
const three = [pod("pod-1"), pod("pod-2"), pod("pod-3")];
const clients = Array.from({ length: 12 }, (_, i) => `198.51.100.${20 + i}`);

function sticky(endpoints = three, more: Partial<TestService> = {}): TestService {
  return api(endpoints, { affinitySeconds: 10_800, ...more });
}

/** A lab whose client has all the addresses of `clients`. */
async function crowd(t: TestContext, mode: LabMode, ...services: readonly TestService[]): Promise<Lab> {
  const at = await lab(t, mode, services);
  await ipBatch(
    at.client,
    clients.map((address) => `address add ${address}/32 dev eth0`),
  );
  await ipBatch(at.node, ["route add 198.51.100.0/24 dev out"]);
  return at;
}

async function everyClient(at: Lab, to: readonly [string, number] = [CLUSTER_IP, 80]): Promise<string[]> {
  const names: string[] = [];
  for (const from of clients) names.push(nameIn(await ask(at.client, ...to, { from })));
  return names;
}

for (const mode of everyMode) {
  describe(`session affinity by ${mode}`, () => {
    test("clients are spread in turn, and each meets the same endpoint again, at any address of the port", async (t) => {
      const at = await crowd(t, mode, sticky());
      const first = await everyClient(at);
      assertEveryWindow(first, 3);
      assert.deepEqual(await everyClient(at), first);
      assert.deepEqual(await everyClient(at, [VIP, 80]), first);
      assert.deepEqual(await everyClient(at, [NODE, 30080]), first);
    });

    test("connections of known clients take no turns from new ones", async (t) => {
      const at = await crowd(t, mode, sticky());
      const names: string[] = [];
      for (const from of clients) {
        names.push(nameIn(await ask(at.client, CLUSTER_IP, 80, { from })));
        await ask(at.client, CLUSTER_IP, 80, { from: clients[0] ?? "" });
      }
      assertEveryWindow(names, 3);
    });

    test("an endpoint that leaves is forgotten, and nobody else's", async (t) => {
      const at = await crowd(t, mode, sticky());
      const before = await everyClient(at);
      await at.set(sticky([pod("pod-1"), pod("pod-4"), pod("pod-3")]));
      const swapped = await everyClient(at);
      for (const [i, name] of before.entries()) {
        if (name === "pod-2") assert.notEqual(swapped[i], "pod-2");
        else assert.equal(swapped[i], name);
      }
      await at.set(sticky([pod("pod-1"), pod("pod-3")]));
      const fewer = await everyClient(at);
      for (const [i, name] of swapped.entries()) if (name !== "pod-4") assert.equal(fewer[i], name);
      assert.ok(fewer.every((name) => name === "pod-1" || name === "pod-3"));
      assert.deepEqual(await everyClient(at), fewer);
    });

    test("an endpoint that comes takes no known client, and gets the new ones in turn", async (t) => {
      const at = await crowd(t, mode, sticky());
      const known = clients.slice(0, 3);
      const of = async (some: readonly string[]): Promise<string[]> => {
        const names: string[] = [];
        for (const from of some) names.push(nameIn(await ask(at.client, CLUSTER_IP, 80, { from })));
        return names;
      };
      const before = await of(known);
      await at.set(sticky([...three, pod("pod-4")]));
      assert.deepEqual(await of(known), before);
      assertEveryWindow(await of(clients.slice(3)), 4);
    });

    test("each Service port remembers for itself", async (t) => {
      const ports = [
        { name: "a", port: 80 },
        { name: "b", port: 81 },
      ];
      const at = await crowd(t, mode, sticky(three, { ports }));
      const [from = ""] = clients;
      await ask(at.client, CLUSTER_IP, 81, { from: clients[1] ?? "" });
      const a = nameIn(await ask(at.client, CLUSTER_IP, 80, { from }));
      const b = nameIn(await ask(at.client, CLUSTER_IP, 81, { from }));
      for (let i = 0; i < 3; i++) {
        assert.equal(nameIn(await ask(at.client, CLUSTER_IP, 80, { from })), a);
        assert.equal(nameIn(await ask(at.client, CLUSTER_IP, 81, { from })), b);
      }
    });

    test("policy Local: outsiders stay with an endpoint of this node", async (t) => {
      const at = await crowd(t, mode, sticky(three, { externalTrafficPolicy: "Local" }));
      const first = await everyClient(at, [VIP, 80]);
      assert.deepEqual(new Set(first), new Set(["pod-1", "pod-2"]));
      assert.deepEqual(await everyClient(at, [NODE, 30080]), first);
      const inside = nameIn(await ask(at.placeOf("pod-4"), VIP, 80));
      assert.equal(nameIn(await ask(at.placeOf("pod-4"), CLUSTER_IP, 80)), inside);
    });

    test("UDP and IPv6 clients are remembered, too", async (t) => {
      const six = [pod6("pod-1"), pod6("pod-2"), pod6("pod-3")];
      const udp = { name: "udp", clusterIP: "10.96.0.8", protocol: "UDP", endpoints: three } as const;
      const at = await crowd(
        t,
        mode,
        sticky(six, { clusterIP: CLUSTER_IP6, type: "ClusterIP", loadBalancerIP: "192.0.2.1" }),
        { ...udp, affinitySeconds: 100 },
      );
      for (const { IPv4, IPv6 } of [ADDRESSES.client, ADDRESSES.stranger]) {
        const overTcp = nameIn(await ask(at.client, CLUSTER_IP6, 80, { from: IPv6 }));
        const overUdp = nameIn(await askUdp(at.client, "10.96.0.8", 80, { from: IPv4 }));
        for (let i = 0; i < 3; i++) {
          assert.equal(nameIn(await ask(at.client, CLUSTER_IP6, 80, { from: IPv6 })), overTcp);
          assert.equal(nameIn(await askUdp(at.client, "10.96.0.8", 80, { from: IPv4 })), overUdp);
        }
      }
    });

    test("affinity that is switched off and on again disturbs no order", async (t) => {
      const at = await crowd(t, mode, sticky());
      const names = (await everyClient(at)).slice(0, 12);
      await at.set(api(three));
      for (let i = 0; i < 4; i++) names.push(nameIn(await ask(at.client, CLUSTER_IP, 80)));
      await at.set(sticky());
      names.push(...(await everyClient(at)));
      assertEveryWindow(names, 3);
    });
  });
}

test("nftables: who is remembered for which endpoint can be asked, until the time is over", async (t) => {
  const at = await crowd(t, "nftables", sticky(three, { affinitySeconds: 1 }));
  const [from = ""] = clients;
  assert.deepEqual(await at.proxy.remembered(LIST, from), {});
  const name = nameIn(await ask(at.client, CLUSTER_IP, 80, { from }));
  const address = three.find((one) => one.pod === name)?.address;
  assert.deepEqual(await at.proxy.remembered(LIST, from), { endpoint: { address, port: 8080 } });
  await eventually(async () => assert.deepEqual(await at.proxy.remembered(LIST, from), {}));
  assert.notEqual(nameIn(await ask(at.client, CLUSTER_IP, 80, { from })), name);
});

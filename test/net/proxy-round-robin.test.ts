/** The order in which endpoints take turns, in every mode of rules, shown with packets. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { CLUSTER_IP, NODE, VIP, api, pod } from "../../src/path/4-proxy/contract.ts";
import type { TestEndpoint } from "../../src/path/4-proxy/testing.ts";
import { ask, askMany, assertEveryWindow, counts, everyMode, lab } from "./proxy-lab.ts";

const three = [pod("pod-1"), pod("pod-2"), pod("pod-3")];

for (const mode of everyMode) {
  describe(`round robin by ${mode}`, () => {
    test("300 connections to a ClusterIP go 100/100/100, and every window of three meets all", async (t) => {
      const { client } = await lab(t, mode, [api(three)]);
      const names = await askMany(client, 300);
      assert.deepEqual(counts(names), { "pod-1": 100, "pod-2": 100, "pod-3": 100 });
      assertEveryWindow(names, 3);
    });

    test("connections at the same time spread evenly as well", async (t) => {
      const { client } = await lab(t, mode, [api(three)]);
      const names = await Promise.all(Array.from({ length: 300 }, () => ask(client, CLUSTER_IP, 80)));
      assert.deepEqual(counts(names.map((n) => n.split(" ")[0] ?? "")), {
        "pod-1": 100,
        "pod-2": 100,
        "pod-3": 100,
      });
    });

    test("ClusterIP, NodePort and load-balancer address of a Service port share one order", async (t) => {
      const { client } = await lab(t, mode, [api(three)]);
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
      const { client } = await lab(t, mode, [api(three), other]);
      const names = await askMany(client, 24, (i) => [i % 2 === 0 ? CLUSTER_IP : "10.96.0.8", 80]);
      assertEveryWindow(
        names.filter((_, i) => i % 2 === 0),
        3,
      );
      assertEveryWindow(
        names.filter((_, i) => i % 2 === 1),
        3,
      );
    });

    test("the kernel's own counters show that no endpoint is ahead by more than one", async (t) => {
      const at = await lab(t, mode, [api(three)]);
      await askMany(at.client, 10);
      // IPVS has sums of its own, which are late: this mode tells nothing rather than something old.
      if (mode === "ipvs") return assert.deepEqual(await at.proxy.fairness(), []);
      const list = "default/api:http/TCP";
      assert.deepEqual(await at.proxy.fairness(), [{ list, connections: 10, spread: 1 }]);
      await askMany(at.client, 2);
      assert.deepEqual(await at.proxy.fairness(), [{ list, connections: 12, spread: 0 }]);
      await at.set(api(three.slice(0, 2)));
      await askMany(at.client, 4);
      assert.deepEqual(await at.proxy.fairness(), [{ list, connections: 4, spread: 0 }]);
    });

    // It sets every counter to zero whenever any rule changes: see README.md of the hop.
    if (mode === "iptables-legacy") return;

    test("endpoints that stay keep their order through every change of the others", async (t) => {
      const at = await lab(t, mode, [api(three)]);
      const [pod1, , pod3] = three;
      const names: string[] = [];
      const changes = [
        [pod1, pod("pod-4"), pod3],
        [pod1, pod3],
        three,
        [...three, pod("pod-4")],
        [pod3, pod1],
      ];
      for (const [index, endpoints] of changes.entries()) {
        names.push(...(await askMany(at.client, 2 + index)));
        await at.set(api(endpoints.flatMap((endpoint) => endpoint ?? [])));
      }
      names.push(...(await askMany(at.client, 4)));
      assertEveryWindow(
        names.filter((name) => name === "pod-1" || name === "pod-3"),
        2,
      );
    });

    // IPVS gives a new endpoint a place of its own.
    if (mode !== "ipvs") {
      test("an endpoint replaced by another takes its turns, and the order goes on", async (t) => {
        const at = await lab(t, mode, [api(three)]);
        const before = await askMany(at.client, 4);
        await at.set(api([pod("pod-1"), pod("pod-4"), pod("pod-3")]));
        const after = await askMany(at.client, 8);
        const renamed = before.map((name) => (name === "pod-2" ? "pod-4" : name));
        assertEveryWindow([...renamed, ...after], 3);
      });
    }

    test("another Service's changes do not disturb the order", async (t) => {
      const at = await lab(t, mode, [api(three)]);
      const names: string[] = [];
      for (let i = 0; i < 6; i++) {
        names.push(...(await askMany(at.client, 2)));
        await at.set(api(three), { name: "other", clusterIP: "10.96.0.8", endpoints: three.slice(i % 3) });
      }
      assertEveryWindow(names, 3);
    });

    test("when their number changes, the endpoint in turn is still the next", async (t) => {
      const at = await lab(t, mode, [api(three)]);
      const before = await askMany(at.client, 5);
      await at.set(api([...three, pod("pod-4")]));
      const grown = await askMany(at.client, 8);
      assert.equal(grown[0], before[2]);
      assertEveryWindow(grown, 4);
      await at.set(api(three));
      assertEveryWindow(await askMany(at.client, 9), 3);
    });

    for (const count of [2, 6]) {
      test(`when ${count} Services change their number at once, each goes on with the endpoint in turn`, async (t) => {
        const addresses = Array.from({ length: count }, (_, i) => `10.96.0.${20 + i}`);
        const services = (endpoints: readonly TestEndpoint[]) =>
          addresses.map((clusterIP, i) => ({ name: `s${i}`, clusterIP, endpoints }));
        const at = await lab(t, mode, services(three));
        const asked = (n: number) =>
          Promise.all(addresses.map((address) => askMany(at.client, n, () => [address, 80])));
        const before = await asked(5);
        await at.set(...services([...three, pod("pod-4")]));
        const after = await asked(4);
        assert.deepEqual(
          after.map(([first]) => first),
          before.map((names) => names[2]),
        );
        for (const names of after) assertEveryWindow(names, 4);
      });
    }

    test("an endpoint that flaps does not starve the others", async (t) => {
      const at = await lab(t, mode, [api(three)]);
      const names: string[] = [];
      for (let i = 0; i < 12; i++) {
        names.push(...(await askMany(at.client, 2)));
        await at.set(api(i % 2 === 0 ? [...three, pod("pod-4")] : three));
      }
      const spread = counts(names);
      for (const name of ["pod-1", "pod-2", "pod-3"]) {
        assert.ok((spread[name] ?? 0) >= 6, `of ${names.length} connections: ${JSON.stringify(spread)}`);
      }
    });
  });
}

/** Schedulers by annotation, in the modes of rules that carry them out. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { ipBatch } from "#kernel";
import { ADDRESSES, CLUSTER_IP, CLUSTER_IP6, api, pod, pod6 } from "../../src/path/4-proxy/contract.ts";
import { sourceHash } from "../../src/path/4-proxy/nftables/source-hash.ts";
import { hashSlots } from "../../src/path/4-proxy/spread.ts";
import { ask, askMany, assertEveryWindow, counts, everyMode, lab, nameIn } from "./proxy-lab.ts";

const weighted = [pod("pod-1", { weight: 3 }), pod("pod-2", { weight: 1 }), pod("pod-3")];
const three = [pod("pod-1"), pod("pod-2"), pod("pod-3")];

for (const mode of everyMode) {
  describe(`schedulers by ${mode}`, () => {
    test("wrr: every window of the weights' sum meets each pod as often as its weight", async (t) => {
      const { client } = await lab(t, mode, [api(weighted, { scheduler: "wrr" })]);
      const names = await askMany(client, 20);
      for (let i = 0; i + 5 <= names.length; i++) {
        assert.deepEqual(counts(names.slice(i, i + 5)), { "pod-1": 3, "pod-2": 1, "pod-3": 1 });
      }
      assert.doesNotMatch(names.join(" "), /pod-1 pod-1 pod-1/);
    });

    test("lc: the endpoints take turns", async (t) => {
      const { client } = await lab(t, mode, [api(three, { scheduler: "lc" })]);
      assertEveryWindow(await askMany(client, 9), 3);
    });
  });
}

test("nftables: wrr survives another weight, from the pod whose turn it is", async (t) => {
  const at = await lab(t, "nftables", [api(weighted, { scheduler: "wrr" })]);
  await askMany(at.client, 7);
  await at.set(api([pod("pod-1", { weight: 2 }), pod("pod-2"), pod("pod-3")], { scheduler: "wrr" }));
  const names = await askMany(at.client, 12);
  for (let i = 0; i + 4 <= names.length; i++) {
    assert.deepEqual(counts(names.slice(i, i + 4)), { "pod-1": 2, "pod-2": 1, "pod-3": 1 });
  }
});

test("nftables: sh sends every source to the endpoint that its address stands for, in both families", async (t) => {
  const six = [pod6("pod-1"), pod6("pod-2"), pod6("pod-3")];
  const at = await lab(t, "nftables", [
    api([...three, ...six], { scheduler: "sh", secondClusterIP: CLUSTER_IP6 }),
  ]);
  const sources = Array.from({ length: 30 }, (_, i) => `198.51.100.${100 + i}`);
  await ipBatch(
    at.client,
    sources.map((address) => `address add ${address}/32 dev eth0`),
  );
  await ipBatch(at.node, ["route add 198.51.100.0/24 dev out"]);
  const table = hashSlots(three.map(({ address }) => ({ address, port: 8080 })));
  for (const from of sources) {
    const wanted = table[sourceHash(from, table.length)]?.address;
    const name = nameIn(await ask(at.client, CLUSTER_IP, 80, { from }));
    assert.equal(three.find(({ pod: own }) => own === name)?.address, wanted, from);
  }
  const table6 = hashSlots(six.map(({ address }) => ({ address, port: 8080 })));
  for (const { IPv6: from } of [ADDRESSES.client, ADDRESSES.stranger]) {
    const name = nameIn(await ask(at.client, CLUSTER_IP6, 80, { from }));
    assert.equal(
      six.find(({ pod: own }) => own === name)?.address,
      table6[sourceHash(from, table6.length)]?.address,
    );
  }
});

/** A pod that dies without a word: what becomes of new connections long before the API knows. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { nft } from "#kernel";
import type { NetNs } from "#kernel";
import { CLUSTER_IP, api, pod } from "../../src/path/4-proxy/contract.ts";
import { ask, askMany, counts, eventually, everyMode, lab } from "./proxy-lab.ts";

const three = [pod("pod-1"), pod("pod-2"), pod("pod-3")];

/** Everything that arrives is lost, and nobody says so. */
const die = (ns: NetNs): Promise<string> =>
  nft(
    ns,
    "add table ip dead\nadd chain ip dead in { type filter hook input priority 0; }\nadd rule ip dead in drop\n",
  );
const revive = (ns: NetNs): Promise<string> => nft(ns, "delete table ip dead\n");

for (const mode of everyMode) {
  // What it sends on has no DNAT status, so nothing tells of unanswered connections: see its README.
  if (mode === "ipvs") continue;
  describe(`silent endpoints by ${mode}`, () => {
    test("a dead pod gets nothing new once connections to it wait, and takes its turns again when it answers", async (t) => {
      const at = await lab(t, mode, [api(three)]);
      await die(at.placeOf("pod-2"));
      // One of the three meets the dead pod; only that raises the suspicion.
      const waiting = Promise.all([1, 2, 3].map(() => ask(at.client, CLUSTER_IP, 80, { patience: 1500 })));
      await eventually(async () => assert.equal(at.proxy.silent().size, 1));
      await at.proxy.programmed(at.source.current());
      await eventually(async () => {
        assert.deepEqual(counts(await askMany(at.client, 6)), { "pod-1": 3, "pod-3": 3 });
      });
      await waiting;

      await revive(at.placeOf("pod-2"));
      await eventually(async () => assert.equal(at.proxy.silent().size, 0));
      await eventually(async () => {
        assert.deepEqual(counts(await askMany(at.client, 6)), { "pod-1": 2, "pod-2": 2, "pod-3": 2 });
      });
    });

    test("where none answers, none is taken away", async (t) => {
      const at = await lab(t, mode, [api(three)]);
      const names = ["pod-1", "pod-2", "pod-3"] as const;
      for (const name of names) await die(at.placeOf(name));
      await Promise.all(names.map(() => ask(at.client, CLUSTER_IP, 80, { patience: 1500 })));
      await eventually(async () => assert.equal(at.proxy.silent().size, 3));
      for (const name of names) await revive(at.placeOf(name));
      await eventually(async () => {
        assert.deepEqual(counts(await askMany(at.client, 6)), { "pod-1": 2, "pod-2": 2, "pod-3": 2 });
      });
    });
  });
}

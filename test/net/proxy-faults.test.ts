/** Programs that fail, rules of others that nft cannot read, and nodes that claim each other's networks, in every mode. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { iptablesRestore, nft, run, setSysctls } from "#kernel";
import type { NetNs } from "#kernel";
import { silentLog } from "#lib/log";
import type { Snapshot } from "#model";
import type { RuleKernel } from "../../src/path/4-proxy/backend.ts";
import { CLUSTER_IP, api, pod } from "../../src/path/4-proxy/contract.ts";
import { testSnapshot } from "../../src/path/4-proxy/testing.ts";
import {
  ask,
  askMany,
  assertEveryWindow,
  counts,
  eventually,
  everyMode,
  lab,
  withinSeconds,
} from "./proxy-lab.ts";

const three = [pod("pod-1"), pod("pod-2"), pod("pod-3")];

/** Programs that do not do what they are told, and what is said of it. */
const failures: Readonly<Record<string, readonly [script: string, said: RegExp]>> = {
  "ends with status 1": ["echo 'Device or resource busy' >&2; exit 1", /Device or resource busy/],
  hangs: ["exec sleep 600", /did not end within 0\.1 s and was killed/],
  "is killed": ["kill -9 $$", /exit status 1\d\d/],
};

/** A kernel that is reached by a failing program while `broken` says so. */
function fragile(node: () => NetNs | undefined, broken: () => string | undefined): RuleKernel {
  const fail = async (script: string): Promise<never> => {
    const { code, stderr } = await run(node(), "sh", ["-c", script], "", 100);
    throw new Error(stderr.trim() || `exit status ${code}`);
  };
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    const script = broken();
    return script === undefined ? work() : fail(script);
  };
  return {
    nft: (script, options) => guarded(() => nft(node(), script, options)),
    iptablesRestore: (text, program) => guarded(() => iptablesRestore(node(), text, program)),
    run: (command, args, input) => guarded(() => run(node(), command, args, input)),
    setSysctls: (values) => setSysctls(node(), values),
  };
}

/** A match of iptables that nft 1.0.6 shows, but does not understand. */
const foreign = `*nat
:THEIRS - [0:0]
-A PREROUTING -j THEIRS
-A THEIRS -d 192.0.2.1/32 -m recent --rcheck --seconds 60 --name theirs --mask 255.255.255.255 --rsource -j RETURN
COMMIT
`;

const theirs = async (node: NetNs): Promise<string> =>
  (await run(node, "iptables-nft-save", ["-t", "nat"])).stdout.match(/^.*THEIRS.*$/gm)?.join("\n") ?? "";

/** Another node whose pod network lies in node-b's, as it may happen in a cluster of somebody else. */
function withOverlap(snapshot: Snapshot): Snapshot {
  const node = snapshot.nodes.get("node-b");
  assert.ok(node);
  const podCIDRs = ["10.244.1.128/25", "fd00:10:244:1::/64"];
  const address = "172.30.0.13";
  const other = {
    ...node,
    name: "node-c",
    address,
    addresses: [address],
    podCIDR: "10.244.1.128/25",
    podCIDRs,
  };
  return { ...snapshot, nodes: new Map([...snapshot.nodes, ["node-c", other]]) };
}

for (const mode of everyMode) {
  describe(`faults by ${mode}`, () => {
    for (const [what, [script, said]] of Object.entries(failures)) {
      test(`a program that ${what}: former rules serve on, it is told, and tried until it succeeds`, async (t) => {
        let node: NetNs | undefined;
        let broken: string | undefined;
        const warnings: string[] = [];
        const at = await lab(t, mode, [api(three)], {
          onNode: async (its) => void (node = its),
          kernel: fragile(
            () => node,
            () => broken,
          ),
          log: { ...silentLog, warn: (message) => void warnings.push(message) },
        });
        broken = script;
        const changed = at.set(api([pod("pod-4")]), {
          name: "new",
          clusterIP: "10.96.0.9",
          endpoints: three,
        });
        await eventually(async () => assert.match(at.proxy.failure() ?? "", said));
        assert.ok(
          warnings.some((text) => /rules not in force, trying again in \d+ ms/.test(text) && said.test(text)),
        );
        assert.deepEqual(counts(await askMany(at.client, 6)), { "pod-1": 2, "pod-2": 2, "pod-3": 2 });
        broken = undefined;
        await changed;
        assert.equal(at.proxy.failure(), undefined);
        assert.deepEqual(counts(await askMany(at.client, 3)), { "pod-4": 3 });
        assertEveryWindow(await askMany(at.client, 6, () => ["10.96.0.9", 80]), 3);
      });
    }

    test("rules of others that nft cannot read are neither read nor touched", async (t) => {
      let before = "";
      const at = await lab(t, mode, [api(three)], {
        onNode: async (node) => {
          await iptablesRestore(node, foreign, "iptables-nft-restore");
          const ruleset = (await run(node, "nft", ["list", "ruleset"])).stdout;
          const again = await run(node, "nft", ["-c", "-f", "-"], ruleset);
          assert.notEqual(again.code, 0, "this nft understands the rules: the test needs others");
          before = await theirs(node);
        },
      });
      assertEveryWindow(await askMany(at.client, 6), 3);
      await at.set(api([pod("pod-1"), pod("pod-4")]));
      assert.deepEqual(counts(await askMany(at.client, 4)), { "pod-1": 2, "pod-4": 2 });
      assert.equal(await theirs(at.node), before);
      await at.proxy.close();
      assert.equal(await theirs(at.node), before);
    });

    test("a node whose pod network overlaps another's keeps no Service from its rules", async (t) => {
      const at = await lab(t, mode, [api(three)]);
      const overlapping = withOverlap(testSnapshot(api([pod("pod-1"), pod("pod-2")])));
      at.source.set(overlapping);
      await withinSeconds(10, at.proxy.programmed(overlapping), "rules with overlapping networks");
      assertEveryWindow(await askMany(at.client, 4), 2);
      assert.match(await ask(at.placeOf("pod-3"), CLUSTER_IP, 80), /^pod-/);
    });
  });
}

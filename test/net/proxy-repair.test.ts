/** What others do to the rules, and what becomes of connections meanwhile, in every mode. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { closeNetNs, createNetNs, iptablesRestore, nft, run } from "#kernel";
import type { NetNs } from "#kernel";
import type { RuleKernel } from "../../src/path/4-proxy/backend.ts";
import { CLUSTER_IP, api, contract, pod } from "../../src/path/4-proxy/contract.ts";
import { iptablesBackend } from "../../src/path/4-proxy/iptables/backend.ts";
import { nftablesBackend } from "../../src/path/4-proxy/nftables/backend.ts";
import { planProxy } from "../../src/path/4-proxy/plan.ts";
import { testSnapshot } from "../../src/path/4-proxy/testing.ts";
import {
  ask,
  askMany,
  assertEveryWindow,
  counts,
  eventually,
  everyMode,
  lab,
  labModes,
} from "./proxy-lab.ts";
import type { LabMode } from "./proxy-lab.ts";

const three = [pod("pod-1"), pod("pod-2"), pod("pod-3")];
const pods = [...three, pod("pod-4")];

function iptablesSabotage(
  kind: "nft" | "legacy",
): Readonly<Record<string, (node: NetNs) => Promise<unknown>>> {
  const restore = (node: NetNs, text: string): Promise<unknown> =>
    run(node, `iptables-${kind}-restore`, ["--noflush"], text);
  return {
    "the dispatch rules": (node) => restore(node, "*nat\n-F INROAD-SERVICES\nCOMMIT\n"),
    "the jump": (node) => restore(node, "*nat\n-D PREROUTING -j INROAD-SERVICES\nCOMMIT\n"),
  };
}

/** Own rules go missing: all of them, or just the entry of a Service. */
const sabotage: Readonly<Record<LabMode, Readonly<Record<string, (node: NetNs) => Promise<unknown>>>>> = {
  nftables: {
    "the whole table": (node) => nft(node, "delete table ip inroad-proxy\n"),
    "one element": (node) =>
      nft(node, `delete element ip inroad-proxy services { ${CLUSTER_IP} . tcp . 80 }\n`),
    "one rule": (node) => nft(node, "flush chain ip inroad-proxy svc/default/api/tcp/http\n"),
  },
  "iptables-nft": iptablesSabotage("nft"),
  "iptables-legacy": iptablesSabotage("legacy"),
};

const foreignRules = `
table ip foreign {
  comment "not ours"
  set odd {
    type ipv4_addr . inet_service . mark
    flags interval
    elements = { 192.0.2.0/25 . 1-99 . 0x1 }
  }
  chain c {
    type filter hook forward priority 10;
    ip dscp != cs7 meta length & 0x3 == 0x1 limit rate over 7/week burst 9 packets counter
  }
}
`;

for (const mode of everyMode) {
  describe(`Service rules by ${mode}`, () => {
    test("no connection hangs or fails while endpoints come and go", async (t) => {
      const at = await lab(t, mode, [api(three)]);
      const answers = new Map<string, number>();
      const end = new AbortController();
      const clients = Array.from({ length: 4 }, async () => {
        while (!end.signal.aborted) {
          const name = (await ask(at.client, CLUSTER_IP, 80)).split(" ")[0] ?? "";
          answers.set(name, (answers.get(name) ?? 0) + 1);
        }
      });
      for (let i = 0; i < 25; i++) {
        await at.set(api(pods.slice(i % 3, (i % 3) + 1 + ((i * 7) % 4))));
        // Changes may take no turn of the event loop: the others must get on between them.
        await askMany(at.client, 1);
      }
      end.abort();
      await Promise.all(clients);
      assert.deepEqual([...answers.keys()].sort(), ["pod-1", "pod-2", "pod-3", "pod-4"]);
    });

    test("what the kernel tells of the rules is what was written, in every case of the contract", async () => {
      const node = createNetNs("node");
      const { iptables, ...rest } = { iptables: undefined, ...labModes[mode] };
      const kernel: RuleKernel = {
        nft: (script, options) => nft(node, script, options),
        iptablesRestore: (text, program) => iptablesRestore(node, text, program),
        run: (command, args, input) => run(node, command, args, input),
      };
      const backend = rest.mode === "nftables" ? nftablesBackend(kernel) : iptablesBackend(kernel, iptables);
      for (const { name, services, options } of contract) {
        await backend.sync(planProxy(testSnapshot(...services), "node-a", new Map(), options));
        assert.ok(await backend.intact(), name);
      }
      closeNetNs(node);
    });

    test("rules of others are not touched, and own ones go at the end", async (t) => {
      const ours = /inroad/i;
      const foreign = async (node: NetNs): Promise<string> => {
        const nftText = (await run(node, "nft", ["list", "table", "ip", "foreign"])).stdout;
        const saved = (await run(node, "iptables-save", [])).stdout.replaceAll(/\[\d+:\d+\]|^#.*$/gm, "");
        return (
          nftText +
          saved
            .split("\n")
            .filter((line) => !ours.test(line))
            .join("\n")
        );
      };
      let before = "";
      const at = await lab(t, mode, [api(three)], {
        onNode: async (node) => {
          await nft(node, foreignRules);
          const own = "*nat\n:OTHERS - [0:0]\n-A OTHERS -d 192.0.2.1/32 -p tcp -m tcp --dport 9 -j RETURN\n";
          await iptablesRestore(node, `${own}-A PREROUTING -j OTHERS\nCOMMIT\n*filter\n:F - [0:0]\nCOMMIT\n`);
          before = await foreign(node);
        },
      });
      assert.match(before, /limit rate over 7\/week/);
      await at.set(api([pod("pod-1")]));
      assert.equal(await foreign(at.node), before);
      await at.proxy.close();
      assert.equal(await foreign(at.node), before);
      const left =
        (await run(at.node, "iptables-save", [])).stdout +
        (await run(at.node, "nft", ["list", "tables"])).stdout;
      assert.doesNotMatch(left, ours);
    });

    for (const [what, remove] of Object.entries(sabotage[mode])) {
      test(`${what} deleted by somebody: put back, and connections go on`, async (t) => {
        const at = await lab(t, mode, [api(three)]);
        await remove(at.node);
        const after = await ask(at.client, CLUSTER_IP, 80, { patience: 200 });
        assert.doesNotMatch(after, /^pod/);
        await eventually(async () =>
          assert.match(await ask(at.client, CLUSTER_IP, 80, { patience: 200 }), /^pod/),
        );
        await eventually(async () => assertEveryWindow(await askMany(at.client, 6), 3));
      });
    }

    test("a child program killed while it works is started again", async (t) => {
      let toKill = 2;
      const killed = async (node: NetNs): Promise<void> => {
        if (toKill-- <= 0) return;
        const { code } = await run(node, "sh", ["-c", "kill -9 $$"]);
        throw new Error(`ended with ${code}`);
      };
      let inside: NetNs | undefined;
      const at = await lab(t, mode, [api(three)], {
        onNode: async (node) => void (inside = node),
        kernel: {
          nft: async (script) => (inside && (await killed(inside)), nft(inside, script)),
          iptablesRestore: async (text, program) => {
            if (inside !== undefined) await killed(inside);
            await iptablesRestore(inside, text, program);
          },
          run: (command, args, input) => run(inside, command, args, input),
        },
      });
      assertEveryWindow(await askMany(at.client, 6), 3);
      toKill = 1;
      await at.set(api([...three, pod("pod-4")]));
      assertEveryWindow(await askMany(at.client, 8), 4);
    });

    test("a proxy that starts where another one left its rules takes them over", async (t) => {
      const at = await lab(t, mode, [api(three), { name: "gone", clusterIP: "10.96.0.9", endpoints: three }]);
      const second = at.startProxy(api([pod("pod-1"), pod("pod-2")]));
      await second.ready;
      assert.deepEqual(counts(await askMany(at.client, 6)), { "pod-1": 3, "pod-2": 3 });
      assert.doesNotMatch(await ask(at.client, "10.96.0.9", 80, { patience: 200 }), /^pod/);
    });
  });
}

/** The order survives whatever happens to the proxy and beside it, in every mode of rules whose counters can. */
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { iptablesRestore, nft, run, spawnIn, tcpListener } from "#kernel";
import type { NetNs } from "#kernel";
import { CLUSTER_IP, CLUSTER_IP6, api, pod, pod6 } from "../../src/path/4-proxy/contract.ts";
import type { PodName } from "../../src/path/4-proxy/contract.ts";
import type { TestService } from "../../src/path/4-proxy/testing.ts";
import { ask, askMany, assertEveryWindow, everyMode, lab, nameIn, network } from "./proxy-lab.ts";
import type { LabMode, Network } from "./proxy-lab.ts";

const three = [pod("pod-1"), pod("pod-2"), pod("pod-3")];
const other = { name: "other", clusterIP: "10.96.0.8", endpoints: three };

interface Mortal extends Network {
  /** Puts Services in force. */
  set(...services: readonly TestService[]): Promise<void>;
  /** Kills the proxy's process, and starts another one with these Services. */
  succeed(...services: readonly TestService[]): Promise<void>;
  /** Kills it while it works. */
  killWith(...services: readonly TestService[]): Promise<void>;
}

/** A lab whose proxy is a process of its own. */
async function mortalLab(t: TestContext, mode: LabMode, services: readonly TestService[]): Promise<Mortal> {
  const at = await network(t);
  const script = join(import.meta.dirname, "proxy-process.ts");
  const start = () => {
    const child = spawnIn(
      at.node,
      process.execPath,
      ["--disable-warning=ExperimentalWarning", script, mode],
      {
        stdio: ["pipe", "pipe", "inherit"],
      },
    );
    at.undo.push(() => child.kill("SIGKILL"));
    return child;
  };
  let child = start();
  const tell = (wanted: readonly TestService[]): void =>
    void child.stdin?.write(`${JSON.stringify(wanted)}\n`);
  const kill = async (): Promise<void> => {
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
    child = start();
  };
  const set = async (...wanted: readonly TestService[]): Promise<void> => {
    tell(wanted);
    assert.ok(child.stdout);
    const [said] = (await once(child.stdout, "data")) as [Buffer];
    assert.equal(said.toString(), "programmed\n");
  };
  await set(...services);
  return {
    ...at,
    set,
    async succeed(...wanted) {
      await kill();
      await set(...wanted);
    },
    async killWith(...wanted) {
      tell(wanted);
      await kill();
    },
  };
}

/** A server in the node's own namespace. Returns what ends it. */
function answerAs(name: string, ns: NetNs): () => void {
  const server = createServer((socket) => socket.on("error", () => undefined).end(name));
  server.listen({ fd: tcpListener(ns, "0.0.0.0", 8080) });
  return () => void server.close();
}

for (const mode of everyMode) {
  // It sets every counter to zero whenever any rule changes: see README.md of the hop.
  if (mode === "iptables-legacy") continue;
  describe(`restarts by ${mode}`, () => {
    test("a new process goes on with the order, and touches nothing that is right", async (t) => {
      const at = await mortalLab(t, mode, [api(three), other]);
      const names = await askMany(at.client, 4);
      for (let i = 0; i < 3; i++) {
        await at.succeed(api(three), other);
        names.push(...(await askMany(at.client, 2)));
      }
      assertEveryWindow(names, 3);
    });

    test("a new process that finds other endpoints goes on with whose turn it is", async (t) => {
      const at = await mortalLab(t, mode, [api(three)]);
      const before = await askMany(at.client, 5);
      await at.succeed(api([...three, pod("pod-4")]));
      const grown = await askMany(at.client, 8);
      assert.equal(grown[0], before[2]);
      assertEveryWindow(grown, 4);
      await at.succeed(api([pod("pod-1"), pod("pod-2"), pod("pod-4")]));
      assertEveryWindow(await askMany(at.client, 6), 3);
    });

    test("a new process removes what is no Service any more, and adds what is new", async (t) => {
      const at = await mortalLab(t, mode, [api(three, { sourceRanges: ["203.0.113.0/24"] }), other]);
      const six = { name: "six", clusterIP: CLUSTER_IP6, endpoints: [pod6("pod-1"), pod6("pod-2")] };
      await at.succeed(other, six);
      assert.doesNotMatch(await ask(at.client, CLUSTER_IP, 80, { patience: 200 }), /^pod/);
      assertEveryWindow(await askMany(at.client, 4, () => [CLUSTER_IP6, 80]), 2);
      assertEveryWindow(await askMany(at.client, 6, () => ["10.96.0.8", 80]), 3);
    });

    test("clients stay with their endpoints", async (t) => {
      const sticky = (...names: readonly PodName[]): TestService =>
        api(
          names.map((name) => pod(name)),
          { affinitySeconds: 10_800 },
        );
      const at = await mortalLab(t, mode, [sticky("pod-1", "pod-2", "pod-3")]);
      const met = nameIn(await ask(at.client, CLUSTER_IP, 80)) as PodName;
      await at.succeed(sticky("pod-1", "pod-2", "pod-3"));
      assert.equal(nameIn(await ask(at.client, CLUSTER_IP, 80)), met);
      // Its endpoint left while no proxy was there.
      const others = (["pod-1", "pod-2", "pod-3"] as const).filter((name) => name !== met);
      await at.succeed(sticky(...others));
      const next = nameIn(await ask(at.client, CLUSTER_IP, 80));
      assert.notEqual(next, met);
      assert.equal(nameIn(await ask(at.client, CLUSTER_IP, 80)), next);
    });

    test("others' iptables-restore every two connections does not disturb the order", async (t) => {
      const at = await mortalLab(t, mode, [api(three)]);
      const names: string[] = [];
      for (let i = 0; i < 8; i++) {
        names.push(...(await askMany(at.client, 2)));
        const text = `*nat\n:FOREIGN - [0:0]\n-A FOREIGN -s 192.0.2.${i + 1}/32 -j RETURN\nCOMMIT\n`;
        const { code } = await run(at.node, "iptables-nft-restore", ["--noflush"], text);
        assert.equal(code, 0);
        await nft(at.node, `add table ip foreign\nadd chain ip foreign c${i}\n`);
      }
      assertEveryWindow(names, 3);
    });

    test("full resyncs do not disturb the order", async (t) => {
      let node: NetNs | undefined;
      let failing = 0;
      const spoiled = async <T>(work: () => Promise<T>): Promise<T> => {
        if (failing-- > 0) throw new Error("not now");
        return work();
      };
      const at = await lab(t, mode, [api(three)], {
        onNode: async (ns) => void (node = ns),
        kernel: {
          nft: (script, options) => spoiled(() => nft(node, script, options)),
          iptablesRestore: (text, program) => spoiled(() => iptablesRestore(node, text, program)),
          run: (command, args, input) => run(node, command, args, input),
        },
      });
      const names: string[] = [];
      for (let i = 0; i < 4; i++) {
        names.push(...(await askMany(at.client, 2)));
        failing = 1;
        await at.set(api(three), { ...other, endpoints: three.slice(i % 2) });
      }
      assertEveryWindow(names, 3);
    });

    test("killed while it works: the next one makes it whole, and no endpoint starves", async (t) => {
      const at = await mortalLab(t, mode, [api(three)]);
      const many = (count: number): TestService[] =>
        Array.from({ length: count }, (_, i) => ({
          name: `s${i}`,
          clusterIP: `10.96.1.${i + 1}`,
          endpoints: three,
        }));
      await at.killWith(api([...three, pod("pod-4")]), ...many(150));
      await at.set(api([...three, pod("pod-4")]), ...many(150));
      assertEveryWindow(await askMany(at.client, 8), 4);
      assertEveryWindow(await askMany(at.client, 6, () => ["10.96.1.150", 80]), 3);
    });

    test("3, then 5, then 2 endpoints, and the proxy killed in between", async (t) => {
      const five = [...three, pod("pod-4"), { address: "172.30.0.11", node: "node-a", pod: "pod-5" }];
      const at = await mortalLab(t, mode, [api(three)]);
      at.undo.push(answerAs("pod-5", at.node));
      const first = await askMany(at.client, 7);
      assertEveryWindow(first, 3);
      await at.set(api(five));
      const grown = await askMany(at.client, 6);
      assert.equal(grown[0], first[4]);
      await at.succeed(api(five));
      assertEveryWindow([...grown, ...(await askMany(at.client, 6))], 5);
      await at.succeed(api([pod("pod-2"), pod("pod-3")]));
      assertEveryWindow(await askMany(at.client, 6), 2);
    });
  });
}

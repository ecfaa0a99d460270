/** What IPVS does in its own way, with packets: endpoints that go, affinity, schedulers. */
import { describe, test } from "node:test";
import type { TestContext } from "node:test";
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import type { Socket } from "node:net";
import { iptablesRestore, nft, run, setSysctls, tcpConnect, tcpListener } from "#kernel";
import type { NetNs } from "#kernel";
import { ADDRESSES, CLUSTER_IP, NODE, VIP, api, pod } from "../../src/path/4-proxy/contract.ts";
import type { PodName } from "../../src/path/4-proxy/contract.ts";
import { ipvsBackend } from "../../src/path/4-proxy/ipvs/backend.ts";
import { planProxy } from "../../src/path/4-proxy/plan.ts";
import { testSnapshot } from "../../src/path/4-proxy/testing.ts";
import type { TestEndpoint, TestService } from "../../src/path/4-proxy/testing.ts";
import { ask, askMany, assertEveryWindow, counts, eventually, everyMode, lab } from "./proxy-lab.ts";
import type { Lab } from "./proxy-lab.ts";

const LIST = "default/api:http/TCP";
const names: readonly PodName[] = ["pod-1", "pod-2", "pod-3", "pod-4"];
const all = names.map((name) => pod(name));
const [pod1, pod2, pod3] = all as [TestEndpoint, TestEndpoint, TestEndpoint];
const three = [pod1, pod2, pod3];

if (everyMode.includes("ipvs")) {
  describe("what IPVS does in its own way", () => {
    test("a port of the node is no port of a Service's address", async (t) => {
      const at = await lab(t, "ipvs", [api(three)]);
      assert.notEqual(await ask(at.client, NODE, 10256), "ECONNREFUSED");
      for (const address of [CLUSTER_IP, VIP]) {
        assert.equal(await ask(at.client, address, 10256), "ECONNREFUSED");
        assert.equal(await ask(at.node, address, 10256), "ECONNREFUSED");
      }
    });

    test("a connection goes on when its endpoint is gone, and then the endpoint leaves", async (t) => {
      const at = await echoLab(t);
      const held = await hold(at, at.client);
      assert.equal(await held.echo("1"), "1");
      const [gone, stays] = held.pod === "pod-1" ? [pod1, pod2] : [pod2, pod1];
      await at.set(api([stays], { targetPort: ECHO_PORT }));
      assert.equal(await held.echo("2"), "2");
      const weight = async (): Promise<string | undefined> =>
        (await at.proxy.rulesOf(LIST))
          .find((rule) => rule.includes(` -r ${gone.address}:`))
          ?.split(" -w ")[1];
      assert.equal(await weight(), "0");
      for (let i = 0; i < 3; i++) assert.equal((await hold(at, at.client)).pod, stays.pod);
      held.socket.resetAndDestroy();
      // IPVS forgets a connection ten seconds after its reset. On a slow machine a proxy looks rarely: here somebody else does.
      const second = ipvsBackend({
        nft: (script, options) => nft(at.node, script, options),
        iptablesRestore: (text, program) => iptablesRestore(at.node, text, program),
        run: (command, args, input) => run(at.node, command, args, input),
        setSysctls: (values) => setSysctls(at.node, values),
      });
      await second.sync(planProxy(testSnapshot(api([stays], { targetPort: ECHO_PORT })), "node-a"));
      await eventually(async () => {
        await second.intact();
        assert.equal(await weight(), undefined);
      }, 30_000);
    });

    test("ClientIP affinity: a client stays with its endpoint, also when others come, until it is gone", async (t) => {
      const sticky = { affinitySeconds: 600 };
      const at = await lab(t, "ipvs", [api([pod1, pod2], sticky)]);
      const [first = ""] = await askMany(at.client, 1);
      assert.match(first, /^pod-/);
      assert.deepEqual(new Set(await askMany(at.client, 4)), new Set([first]));
      // Each address has its own memory of clients.
      for (const [address, port] of [
        [VIP, 80],
        [NODE, 30080],
      ] as const) {
        assert.equal(new Set(await askMany(at.client, 3, () => [address, port])).size, 1);
      }
      const [other = "", ...more] = await askMany(at.placeOf("pod-4"), 3);
      assert.match(other, /^pod-/);
      assert.notEqual(other, first);
      assert.deepEqual(new Set(more), new Set([other]));
      await at.set(api(all, sticky));
      assert.deepEqual(new Set(await askMany(at.client, 4)), new Set([first]));
      await at.set(api(without(first, all), sticky));
      const after = await askMany(at.client, 4);
      assert.equal(new Set(after).size, 1);
      assert.match(after[0] ?? "", /^pod-/);
      assert.notEqual(after[0], first);
      assert.ok((await at.proxy.rulesOf(LIST)).some((rule) => rule.startsWith(`-A -t ${CLUSTER_IP}:80 `)));
      await at.set(api(all));
      assertEveryWindow(await askMany(at.client, 8), 4);
    });

    test("ClientIP affinity under policy Local: outsiders stay with a local endpoint, insiders meet all", async (t) => {
      const local = { affinitySeconds: 600, externalTrafficPolicy: "Local" } as const;
      const at = await lab(t, "ipvs", [api(three, local)]);
      const outside = new Set(await askMany(at.client, 4, () => [VIP, 80]));
      assert.equal(outside.size, 1);
      assert.ok(outside.isSubsetOf(new Set(["pod-1", "pod-2"])));
      assertEveryWindow(await askMany(at.placeOf("pod-4"), 6, () => [VIP, 80]), 3);
    });

    test("least connections: the next one goes where fewest are", async (t) => {
      const at = await echoLab(t, { scheduler: "lc" }, three);
      const held = [await hold(at, at.client), await hold(at, at.client), await hold(at, at.client)];
      assert.equal(new Set(held.map((one) => one.pod)).size, 3);
      const [, second] = held;
      assert.ok(second);
      second.socket.resetAndDestroy();
      await eventually(async () => {
        const next = await hold(at, at.client);
        next.socket.resetAndDestroy();
        assert.equal(next.pod, second.pod);
      });
    });

    test("source hash: a client always meets the same endpoint, and another one when that is gone", async (t) => {
      const hashed = { scheduler: "sh" };
      const at = await lab(t, "ipvs", [api(three, hashed)]);
      const [first = "", ...more] = await askMany(at.client, 4);
      assert.deepEqual(new Set(more), new Set([first]));
      await at.set(api(without(first, three), hashed));
      const after = new Set(await askMany(at.client, 4));
      assert.equal(after.size, 1);
      assert.ok(!after.has(first));
    });

    test("weighted round robin: shares as the pods say, also when they change", async (t) => {
      const weighted = (weight: number) => api([{ ...pod1, weight }, pod2, pod3], { scheduler: "wrr" });
      const at = await lab(t, "ipvs", [weighted(2)]);
      assert.deepEqual(counts(await askMany(at.client, 12)), { "pod-1": 6, "pod-2": 3, "pod-3": 3 });
      await at.set(weighted(4));
      assert.deepEqual(counts(await askMany(at.client, 12)), { "pod-1": 8, "pod-2": 2, "pod-3": 2 });
    });

    test("a scheduler can be changed while connections are made", async (t) => {
      const at = await lab(t, "ipvs", [api(three)]);
      for (const scheduler of ["wrr", "lc", "sh", "rr"]) {
        await at.set(api(three, { scheduler }));
        assert.match((await askMany(at.client, 1)).join(), /^pod-/);
      }
      assertEveryWindow(await askMany(at.client, 6), 3);
    });
  });
}

function without(name: string, endpoints: readonly TestEndpoint[]): readonly TestEndpoint[] {
  return endpoints.filter((endpoint) => endpoint.pod !== name);
}

const ECHO_PORT = 8081;

/** A lab whose pods also send back what they get, after their name. */
async function echoLab(
  t: TestContext,
  more: Partial<TestService> = {},
  endpoints: readonly TestEndpoint[] = [pod1, pod2],
): Promise<Lab> {
  const at = await lab(t, "ipvs", [api(endpoints, { targetPort: ECHO_PORT, ...more })]);
  for (const name of names) {
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.write(name);
      socket.pipe(socket);
    });
    server.listen({ fd: tcpListener(at.placeOf(name), ADDRESSES[name].IPv4, ECHO_PORT) });
    at.undo.push(() => server.close());
  }
  return at;
}

interface Held {
  readonly pod: string;
  readonly socket: Socket;
  echo(text: string): Promise<string>;
}

/** A connection that stays open until the end of the test. */
async function hold(at: Lab, from: NetNs): Promise<Held> {
  const socket = tcpConnect(from, CLUSTER_IP, 80);
  at.undo.push(() => socket.destroy());
  const said = async (): Promise<string> => {
    const [bytes] = (await once(socket, "data", { signal: AbortSignal.timeout(5000) })) as [Buffer];
    return bytes.toString();
  };
  const name = await said();
  return {
    pod: name,
    socket,
    echo(text) {
      socket.write(text);
      return said();
    },
  };
}

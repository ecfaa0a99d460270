/** Very many endpoints, and very many changes, in every mode: rules load, connections spread, and traffic flows meanwhile. */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { ipBatch, tcpListener } from "#kernel";
import { ADDRESSES, CLUSTER_IP, api, pod } from "../../src/path/4-proxy/contract.ts";
import { testSnapshot } from "../../src/path/4-proxy/testing.ts";
import type { TestEndpoint } from "../../src/path/4-proxy/testing.ts";
import { ask, askMany, assertEveryWindow, everyMode, lab, withinSeconds } from "./proxy-lab.ts";
import type { Lab } from "./proxy-lab.ts";

const MANY = 10_000;
const SMALL = "10.96.0.60";

/** 10.245.0.1 and on. */
const endpoints: readonly TestEndpoint[] = Array.from({ length: MANY + 1 }, (_, index) => {
  const number = index + 1;
  return { address: `10.245.${number >> 8}.${number & 255}`, node: "node-b" };
});

/** pod-1 has all the addresses of 10.245.0.0/16, and answers with the one that it was asked at. */
async function oneForAll({ node, placeOf, undo }: Lab): Promise<void> {
  const ns = placeOf("pod-1");
  await ipBatch(node, [`route add 10.245.0.0/16 via ${ADDRESSES["pod-1"].IPv4} dev ${ns.name} onlink`]);
  await ipBatch(ns, ["route add local 10.245.0.0/16 dev lo"]);
  const server = createServer((socket) => {
    socket.on("error", () => undefined).end(socket.localAddress ?? "");
  });
  server.listen({ fd: tcpListener(ns, "0.0.0.0", 8081) });
  undo.push(() => server.close());
}

const pods = [pod("pod-1"), pod("pod-2"), pod("pod-3"), pod("pod-4")];

/** What is really in use. */
function heapInUse(): number {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect === "function") collect();
  return process.memoryUsage().heapUsed;
}

for (const mode of everyMode) {
  describe(`at scale by ${mode}`, () => {
    test("a Service with 10,000 endpoints: each connection another one, and a change takes seconds at most", async (t) => {
      const at = await lab(t, mode, []);
      await oneForAll(at);
      const big = { name: "big", clusterIP: CLUSTER_IP, targetPort: 8081 };
      // Its endpoints are numbered from where those of the big one end.
      const small = { name: "small", clusterIP: SMALL, targetPort: 8081, endpoints: endpoints.slice(0, 3) };
      const both = at.set({ ...big, endpoints: endpoints.slice(0, MANY) }, small);
      await withinSeconds(30, both, "10,000 endpoints");
      assertEveryWindow(await askMany(at.client, 6, () => [SMALL, 80]), 3);
      const names = await askMany(at.client, 100);
      assert.ok(names.every((name) => name.startsWith("10.245.")));
      assertEveryWindow(names, 100);
      const next = at.set({ ...big, endpoints: endpoints.slice(1) }, small);
      await withinSeconds(30, next, "one endpoint for another");
      assertEveryWindow(await askMany(at.client, 6, () => [SMALL, 80]), 3);
      assertEveryWindow(await askMany(at.client, 100), 100);
    });

    test("1,000 changes a second: connections go on, the last one wins, and nothing is kept", async (t) => {
      const at = await lab(t, mode, [api(pods)]);
      const end = new AbortController();
      const answers: string[] = [];
      const clients = [1, 2].map(async () => {
        while (!end.signal.aborted) answers.push(await ask(at.client, CLUSTER_IP, 80));
      });
      const before = heapInUse();
      const began = performance.now();
      let changes = 0;
      while (changes < 1000) {
        // As many as are due by now; the event loop gets its turn.
        const due = Math.min(1000, performance.now() - began);
        for (; changes < due; changes++) at.source.set(testSnapshot(api(pods.slice(changes % 4))));
        await setImmediate();
      }
      await withinSeconds(10, at.set(api(pods.slice(2))), "the last change");
      end.abort();
      await Promise.all(clients);
      assert.ok(answers.length > 20);
      assert.deepEqual(
        answers.filter((answer) => !answer.startsWith("pod-")),
        [],
      );
      assertEveryWindow(await askMany(at.client, 6), 2);
      const grown = (heapInUse() - before) / 1e6;
      assert.ok(grown < 30, `${grown} MB more than before`);
    });
  });
}

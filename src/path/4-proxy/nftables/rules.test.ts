/** Rendered rules against `explain()`, for clusters drawn at random and changed at random. */
import { test } from "node:test";
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { familyOf } from "#lib/ip";
import type { Flow, Outcome } from "#model";
import { ADDRESSES } from "../contract.ts";
import type { Who } from "../contract.ts";
import { explain } from "../explain.ts";
import { planProxy } from "../plan.ts";
import type { PlanOptions, ProxyPlan } from "../plan.ts";
import { testSnapshot } from "../testing.ts";
import type { TestService } from "../testing.ts";
import { someCluster, someProbe } from "../random.ts";
import type { RandomProbe } from "../random.ts";
import { nftablesBackend } from "./backend.ts";
import { fakeKernel } from "./fake-kernel.ts";
import type { FakeKernel, Fate } from "./fake-kernel.ts";

/** The rules of a node, brought from one cluster to the next. */
function fakeNode(options: PlanOptions) {
  let now = 0;
  const kernel = fakeKernel();
  let backend = nftablesBackend(kernel, () => now);
  let plan: ProxyPlan | undefined;
  return {
    kernel,
    /** Another proxy finds what this one left, and goes on with these Services. */
    async restart(services: readonly TestService[]): Promise<void> {
      backend = nftablesBackend(kernel, () => now);
      const snapshot = testSnapshot(...services);
      const found = await backend.adopt?.(planProxy(snapshot, "node-a", new Map(), options));
      assert.ok(found);
      plan = planProxy(snapshot, "node-a", found, options);
      await backend.update(plan);
      now += 2000;
      assert.ok(await backend.intact());
      now += 2000;
      assert.ok(await backend.intact());
    },
    async bringTo(services: readonly TestService[]): Promise<void> {
      const kept = new Map([...(plan?.lists ?? [])].map(([key, { slots }]) => [key, { slots, next: 0 }]));
      const next = planProxy(testSnapshot(...services), "node-a", kept, options);
      await (plan === undefined ? backend.sync(next) : backend.update(next));
      plan = next;
      // Enough for retired chains to go.
      now += 2000;
      assert.ok(await backend.intact());
    },
  };
}

function placeOf(who: Who): "outside" | "node" | "pod" {
  if (who === "node") return "node";
  return who.startsWith("pod") ? "pod" : "outside";
}

function compare(outcome: Outcome, fate: Fate, flow: Flow): void {
  if (outcome.kind === "rejected") return assert.equal(fate.verdict, "reject");
  if (outcome.kind === "dropped") return assert.equal(fate.verdict, "drop");
  assert.ok(outcome.kind === "next");
  assert.equal(fate.verdict, "accept");
  const { destination } = flow;
  const met = fate.endpoint ?? `${destination.address}:${destination.port}`;
  const found = outcome.alternatives.find(
    ({ flow: { destination: to } }) => `${to.address}:${to.port}` === met,
  );
  assert.ok(found, `met ${met}, predicted ${outcome.alternatives.map(({ name }) => name).join(" ")}`);
  assert.equal(fate.masqueraded, found.flow.source.port === undefined);
}

test("whatever the cluster becomes, a packet's fate is the one that is explained", () => {
  return fc.assert(
    fc.asyncProperty(
      fc.array(someCluster, { minLength: 1, maxLength: 4 }),
      fc.array(someProbe, { minLength: 10, maxLength: 30 }),
      fc.record({ externalIPs: fc.boolean(), masqueradeAll: fc.boolean() }),
      async (clusters, probes, options) => {
        const node = fakeNode(options);
        for (const [i, services] of clusters.entries()) {
          await (i % 2 === 1 ? node.restart(services) : node.bringTo(services));
          for (const probe of probes) check(node.kernel, services, probe, options);
        }
      },
    ),
    { numRuns: 200 },
  );
});

function check(
  kernel: FakeKernel,
  services: readonly TestService[],
  probe: RandomProbe<Who>,
  options: PlanOptions,
): void {
  const { from, to, port, protocol } = probe;
  const family = familyOf(to);
  const source = { address: ADDRESSES[from][family], port: 40_000 };
  const flow = { protocol, source, destination: { address: to, port } };
  const place = { at: "proxy", node: "node-a", from: placeOf(from) } as const;
  const { outcome } = explain(testSnapshot(...services), place, flow, options);
  const fate = kernel.send({ source: source.address, destination: to, port, protocol }, [
    ADDRESSES.node[family],
  ]);
  compare(outcome, fate, flow);
}

test("every window of N connections meets each of N endpoints once", () => {
  return fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 40 }),
      async (count, connections) => {
        const endpoints = Array.from({ length: count }, (_, i) => ({ address: `10.244.0.${i + 2}` }));
        const node = fakeNode({});
        await node.bringTo([{ name: "api", clusterIP: "10.96.0.7", endpoints }]);
        const sent = { source: "10.244.1.9", destination: "10.96.0.7", port: 80, protocol: "TCP" } as const;
        const met = Array.from({ length: connections }, () => node.kernel.send(sent, []).endpoint);
        for (let i = 0; i + count <= met.length; i++) {
          assert.equal(new Set(met.slice(i, i + count)).size, count);
        }
      },
    ),
  );
});

test("who takes over a table goes on with the turn of every list, whatever else changes", () => {
  return fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 0, max: 12 }),
      someCluster,
      async (count, connections, others) => {
        const endpoints = Array.from({ length: count }, (_, i) => ({ address: `10.244.0.${i + 2}` }));
        const own = { name: "api", clusterIP: "10.96.1.1", endpoints };
        const node = fakeNode({});
        const sent = { source: "10.244.1.9", destination: "10.96.1.1", port: 80, protocol: "TCP" } as const;
        const ask = () => node.kernel.send(sent, []).endpoint;
        await node.bringTo([own]);
        const met = Array.from({ length: connections }, ask);
        await node.restart([own, ...others]);
        met.push(...Array.from({ length: count }, ask));
        for (let i = 0; i + count <= met.length; i++) {
          assert.equal(new Set(met.slice(i, i + count)).size, count);
        }
      },
    ),
  );
});

import { test } from "node:test";
import assert from "node:assert/strict";
import type { ConntrackEntry } from "#kernel";
import { forgetStaleFlows } from "./flows.ts";
import { planProxy } from "./plan.ts";
import type { ProxyPlan } from "./plan.ts";
import { testSnapshot } from "./testing.ts";

const VIP = "10.96.0.10";
const plan = (...endpoints: readonly string[]): ProxyPlan =>
  planProxy(
    testSnapshot({
      name: "dns",
      clusterIP: VIP,
      port: 53,
      targetPort: 53,
      protocol: "UDP",
      endpoints: endpoints.map((address) => ({ address })),
    }),
    "node-a",
  );
const flowTo = (source: string): ConntrackEntry => ({
  protocol: "udp",
  state: undefined,
  mark: 0,
  original: { source: "10.244.0.9", sourcePort: 4000, destination: VIP, destinationPort: 53 },
  reply: { source, sourcePort: 53, destination: "10.244.0.9", destinationPort: 4000 },
});

const other = planProxy(testSnapshot({ name: "x", clusterIP: "10.96.0.11", endpoints: [] }), "node-a");

const rows: readonly [what: string, before: ProxyPlan | undefined, after: ProxyPlan, forgotten: string[]][] =
  [
    [
      "an endpoint left: its flows are forgotten",
      plan("10.0.0.1", "10.0.0.2"),
      plan("10.0.0.2"),
      ["10.0.0.1", VIP],
    ],
    ["the Service got its first endpoint: what went nowhere", plan(), plan("10.0.0.1"), ["10.0.0.2", VIP]],
    ["nothing changed: nothing is looked at", plan("10.0.0.1"), plan("10.0.0.1"), []],
    ["a start looks at all", undefined, plan("10.0.0.1"), ["10.0.0.2", VIP]],
    ["a start finds the flows of a Service that is gone", undefined, other, ["10.0.0.1", "10.0.0.2"]],
    [
      "the Service is gone: all",
      plan("10.0.0.1"),
      planProxy(testSnapshot(), "node-a"),
      ["10.0.0.1", "10.0.0.2", VIP],
    ],
  ];
for (const [what, before, after, expected] of rows) {
  test(`UDP flows: ${what}`, async () => {
    const forgotten: string[] = [];
    await forgetStaleFlows(after, before, {
      flows: async (family) =>
        family === "IPv6" ? [] : [flowTo("10.0.0.1"), flowTo("10.0.0.2"), flowTo(VIP)],
      forget: async (flow) => void forgotten.push(flow.reply.source),
    });
    assert.deepEqual(forgotten, expected);
  });
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { createPortTable, layOut, portIn, setPort } from "#kernel";
import type { LoopbackMap, LoopbackPlace } from "#kernel";
import { policy } from "../../../test/support/policy-world.ts";
import { exampleSnapshot } from "../../../test/support/snapshot.ts";
import { explain } from "./explain.ts";
import { explainLoopback } from "./explain-loopback.ts";
import { createLoopbackNode } from "./loopback.ts";

const ports = { TCP: createPortTable(), UDP: createPortTable() };
const map: LoopbackMap = { networks: layOut(0, ["10.244.0.0/16"]), moved: true, ports };
const place = (name: string, address: string): LoopbackPlace => ({ name, address, map });
const [address, podCIDR] = ["172.30.0.11", "10.244.0.0/24"];
const identity = { name: "node-a", address, addresses: [address], podCIDR, podCIDRs: [podCIDR] };
const podOf = (name: string) => ({ namespace: "default", name, uid: `uid-${name}` });

test("each pod gets an address of its node, the same one when asked again, and another than other pods", async () => {
  const sandboxes = createLoopbackNode(identity, { place }).sandboxes;
  assert.ok(sandboxes);
  const [first, again, second] = [
    await sandboxes.create(podOf("a")),
    await sandboxes.create(podOf("a")),
    await sandboxes.create(podOf("b")),
  ];
  assert.equal(first, again);
  assert.match(first.address, /^10\.244\.0\.\d+$/);
  assert.notEqual(first.address, second.address);
  assert.equal(first.ns.address, first.address);
  assert.equal(sandboxes.find("uid-a"), first);
});

test("a pod that is gone takes its ports along, and its address rests", async () => {
  const sandboxes = createLoopbackNode(identity, { place }).sandboxes;
  assert.ok(sandboxes);
  const { address } = await sandboxes.create(podOf("a"));
  setPort(ports.TCP, address, 8080, 40_000);
  setPort(ports.TCP, "10.244.1.2", 8080, 40_001);
  await sandboxes.remove(podOf("a"));
  await sandboxes.remove(podOf("a"));
  assert.equal(portIn(ports.TCP, address, 8080), undefined);
  assert.equal(portIn(ports.TCP, "10.244.1.2", 8080), 40_001);
  assert.equal(sandboxes.find("uid-a"), undefined);
  assert.notEqual((await sandboxes.create(podOf("c"))).address, address);
});

const snapshot = exampleSnapshot();
const from = { at: "node", node: "node-a" } as const;
const flowTo = (address: string) =>
  ({ protocol: "TCP", source: { address: "10.244.0.3" }, destination: { address, port: 8080 } }) as const;

test("a pod is connected to, wherever it is: no tunnel, no route", () => {
  for (const [address, where] of [
    ["10.244.0.5", "pod default/api-1 (10.244.0.5:8080)"],
    ["10.244.1.5", "pod default/api-3 on node-b (10.244.1.5:8080)"],
  ] as const) {
    const { steps, outcome } = explainLoopback(snapshot, from, flowTo(address));
    assert.deepEqual(
      steps.map(({ action, to, predicted }) => ({ action, to, predicted })),
      [{ action: "connect", to: where, predicted: [] }],
    );
    assert.deepEqual(outcome, explain(snapshot, from, flowTo(address)).outcome);
  }
});

test("everywhere else the outcome is that of the other modes", () => {
  for (const address of ["10.244.0.99", "10.244.1.99", "172.30.0.12", "203.0.113.128", "192.0.2.1"]) {
    const { steps, outcome } = explainLoopback(snapshot, from, flowTo(address));
    assert.deepEqual(outcome, explain(snapshot, from, flowTo(address)).outcome);
    assert.ok(steps.every(({ action, predicted }) => action === "connect" && predicted.length === 0));
  }
});

const podSelector = { matchLabels: { app: "api" } };

test("what a NetworkPolicy would keep back is connected all the same, and that is said", () => {
  const closed = exampleSnapshot({ networkPolicies: [policy("default/closed", { podSelector })] });
  const { steps, outcome, assumptions } = explainLoopback(closed, from, flowTo("10.244.1.5"));
  assert.deepEqual(
    steps.map(({ action }) => action),
    ["connect"],
  );
  assert.equal(outcome.kind, "next");
  const [finding] = assumptions;
  assert.deepEqual([finding?.code, finding?.object.name], ["PolicyNotInForce", "closed"]);
  assert.equal(finding?.affectsRouting, true);
  assert.match(
    finding?.message ?? "",
    /not in force without namespaces.*default\/closed isolates the ingress/,
  );
});

test("a policy that allows the connection changes nothing", () => {
  const open = exampleSnapshot({ networkPolicies: [policy("default/open", { podSelector, ingress: [{}] })] });
  assert.deepEqual(
    explainLoopback(open, from, flowTo("10.244.1.5")),
    explainLoopback(snapshot, from, flowTo("10.244.1.5")),
  );
});

test("a policy that would keep a pod from an address outside is named, too", () => {
  const inside = { podSelector, policyTypes: ["Egress"] };
  const closed = exampleSnapshot({ networkPolicies: [policy("default/inside", inside)] });
  const flow = { ...flowTo("203.0.113.128"), source: { address: "10.244.0.5" } };
  const { assumptions } = explainLoopback(closed, from, flow);
  assert.deepEqual(
    assumptions.map(({ code }) => code),
    ["PolicyNotInForce"],
  );
});

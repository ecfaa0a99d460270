import assert from "node:assert/strict";
import { test } from "node:test";
import type { Fault, FaultKind } from "#model";
import { exampleSnapshot } from "../../test/support/snapshot.ts";
import { predict } from "./predict.ts";

const snapshot = exampleSnapshot();
const onNode = (node: string): { readonly address: string; readonly name: string } => {
  const pod = [...snapshot.pods.values()].find(
    ({ labels, node: its }) => labels["app"] === "api" && its === node,
  );
  assert.ok(pod?.address);
  return { address: pod.address, name: pod.name };
};

/** The way of a request from node-a to a pod of a node, with these faults. */
function routeTo(node: string, ...kinds: readonly FaultKind[]) {
  const faults = kinds.map((kind, index): Fault => ({ id: index + 1, since: "now", ...kind }));
  const url = `http://${onNode(node).address}:8080/`;
  const request = { url, method: "GET", headers: {}, from: "node/node-a" };
  return predict(snapshot, request, () => 0, { faults }).route;
}

const down: FaultKind = { kind: "node-down", node: "node-b" };
const parted: FaultKind = { kind: "partition", node: "node-b", other: "node-a" };
const lossy: FaultKind = { kind: "loss", node: "node-b", percent: 30 };
const slow: FaultKind = { kind: "latency", node: "node-a", milliseconds: 50 };

for (const [fact, faults, outcome] of [
  ["nothing is broken", [], "delivered"],
  ["the other node is down", [down], "dropped"],
  ["the two nodes are parted", [parted], "dropped"],
  ["the other node loses packets", [lossy], "unknown"],
  ["the other node loses all packets", [{ ...lossy, percent: 100 }], "dropped"],
  ["the own node is slow", [slow], "delivered"],
] as const satisfies readonly (readonly [string, readonly FaultKind[], string])[]) {
  test(`to a pod of another node: ${fact}, so the request is ${outcome}`, () => {
    const route = routeTo("node-b", ...faults);
    assert.equal(route.verdict.kind, outcome);
    assert.deepEqual(
      route.assumptions.map(({ code }) => code),
      faults.map(() => "Fault"),
    );
  });
}

test("what stays on one node meets no fault of the network", () => {
  const route = routeTo("node-a", parted, slow, { ...down, node: "node-a" });
  assert.deepEqual([route.verdict.kind, route.assumptions], ["delivered", []]);
});

test("the way ends at the node that the packet does not leave, and the verdict says how to heal it", () => {
  const route = routeTo("node-b", parted);
  assert.equal(route.visits.at(-1)?.place.at, "node");
  assert.deepEqual(route.verdict, {
    kind: "dropped",
    reason: "fault 1: nothing passes between node-b and node-a",
    mend: "inroad fault heal 1",
  });
});

test("a pod made unready is told where it is a candidate, and only there", () => {
  const fault: Fault = {
    id: 7,
    since: "now",
    kind: "unready",
    namespace: "default",
    pod: onNode("node-b").name,
  };
  const codes = (url: string) =>
    predict(snapshot, { url, method: "GET", headers: {}, from: "node/node-a" }, () => 0, {
      faults: [fault],
    }).route.assumptions.map(({ object }) => object.name);
  assert.deepEqual(codes("http://10.96.1.1/"), [fault.pod]);
  assert.deepEqual(codes("http://10.96.0.1:443/"), []);
});

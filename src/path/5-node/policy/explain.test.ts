import assert from "node:assert/strict";
import { test } from "node:test";
import type { Explanation, Flow } from "#model";
import { policy, worldPod, worldSnapshot } from "../../../../test/support/policy-world.ts";
import { explain } from "../explain.ts";

const onlyA = { podSelector: { matchLabels: { pod: "a" } } };
const closed = [policy("x/deny", onlyA)];
const egressClosed = [policy("x/deny", { ...onlyA, policyTypes: ["Egress"] })];
const toXa = worldPod("xa").ipv4;

function ask(
  policies: Parameters<typeof worldSnapshot>[0],
  source: Flow["source"],
  to: string,
  node = "node-a",
): Explanation {
  const flow: Flow = { protocol: "TCP", source, destination: { address: to, port: 80 } };
  return explain(worldSnapshot(policies), { at: "node", node }, flow);
}

const told = ({ steps, outcome }: Explanation): string =>
  [...steps.map(({ component, action }) => `${component} ${action}`), outcome.kind].join(", ");

test("without policies nothing is said of them", () => {
  assert.equal(told(ask([], { address: worldPod("xb").ipv4 }, toXa)), "node node-a route, next");
});

test("ingress is asked on the pod's node, right before the pod", () => {
  assert.equal(told(ask(closed, { address: worldPod("xb").ipv4 }, toXa)), "node node-a drop, dropped");
  const remote = ask(closed, { address: worldPod("xc").ipv4 }, toXa, "node-b");
  assert.equal(told(remote), "node node-b encapsulate, node node-a drop, dropped");
});

test("egress is asked first, on the node of the source", () => {
  const from = { address: toXa };
  assert.equal(told(ask(egressClosed, from, worldPod("xc").ipv4)), "node node-a drop, dropped");
  assert.equal(told(ask(egressClosed, from, "192.0.2.1")), "node node-a drop, dropped");
  const { steps } = ask(egressClosed, from, worldPod("xc").ipv4);
  assert.deepEqual(steps[0]?.predicted, ["isolated/x/egress: drop"]);
});

test("an address that nobody has: refused here before policies are asked, elsewhere afterwards", () => {
  const from = { address: toXa };
  assert.equal(told(ask(egressClosed, from, "10.244.0.99")), "node node-a route, rejected");
  assert.equal(told(ask(egressClosed, from, "10.244.1.99")), "node node-a drop, dropped");
});

test("its own node reaches an isolated pod, another node does not", () => {
  const own = ask(closed, { address: "172.30.0.11" }, toXa);
  assert.equal(told(own), "node node-a admit, node node-a route, next");
  assert.deepEqual(own.steps[0]?.evaluated[0]?.what, "node node-a");
  assert.match(told(ask(closed, { address: "172.30.0.12" }, toXa, "node-b")), /node node-a drop, dropped$/);
});

test("what a node sends into the overlay has the address of its tunnel end there", () => {
  const open = [
    policy("x/tunnel", { ...onlyA, ingress: [{ from: [{ ipBlock: { cidr: "10.244.1.0/32" } }] }] }),
  ];
  const masqueraded = { address: "172.30.0.12", masqueraded: "203.0.113.10" };
  assert.match(told(ask(open, masqueraded, toXa, "node-b")), /node node-a admit, node node-a route, next$/);
});

test("whom the pod's own node masquerades is known by the true address", () => {
  const masqueraded = { address: "172.30.0.11", masqueraded: "203.0.113.10" };
  assert.equal(told(ask(closed, masqueraded, toXa)), "node node-a drop, dropped");
  const open = [
    policy("x/net", { ...onlyA, ingress: [{ from: [{ ipBlock: { cidr: "203.0.113.0/24" } }] }] }),
  ];
  assert.equal(told(ask(open, masqueraded, toXa)), "node node-a admit, node node-a route, next");
});

test("a pod that meets itself through a Service is admitted", () => {
  const hairpin = { address: "172.30.0.11", masqueraded: toXa };
  const both = [policy("x/deny", { ...onlyA, policyTypes: ["Ingress", "Egress"] })];
  assert.equal(
    told(ask(both, hairpin, toXa)),
    "node node-a admit, node node-a admit, node node-a route, next",
  );
});

test("the mend names what selects the other end, without the labels of revisions", () => {
  const pods = { podLabels: { yb: { app: "web", "pod-template-hash": "abc" } } };
  const flow: Flow = {
    protocol: "UDP",
    source: { address: worldPod("yb").ipv4 },
    destination: { address: toXa, port: 53 },
  };
  const { outcome } = explain(worldSnapshot(closed, pods), { at: "node", node: "node-a" }, flow);
  assert.equal(outcome.kind, "dropped");
  assert.equal(
    outcome.mend,
    "add to spec.ingress a rule with from: pods app=web of namespace y and port 53/UDP (kubectl -n x edit networkpolicy deny)",
  );
});

import { test } from "node:test";
import assert from "node:assert/strict";
import type { Explanation, Flow, Place } from "#model";
import { explain } from "./explain.ts";
import type { ExplainOptions } from "./others.ts";
import { testSnapshot } from "./testing.ts";
import type { TestService } from "./testing.ts";

const VIP = "203.0.113.200";
const a1 = { address: "10.244.0.2", node: "node-a", pod: "api-1" };
const a2 = { address: "10.244.0.3", node: "node-a", pod: "api-2" };
const b1 = { address: "10.244.1.2", node: "node-b", pod: "api-3" };

function explained(
  service: Partial<TestService>,
  where: { from?: "outside" | "node" | "pod"; source?: string; to?: string; port?: number } = {},
  options: ExplainOptions = {},
): Explanation {
  const { from = "pod", source = "10.244.0.9", to = "10.96.0.7", port = 80 } = where;
  const snapshot = testSnapshot({
    name: "api",
    clusterIP: "10.96.0.7",
    type: "LoadBalancer",
    loadBalancerIP: VIP,
    nodePort: 30080,
    endpoints: [a1, a2, b1],
    ...service,
  });
  const place: Extract<Place, { at: "proxy" }> = { at: "proxy", node: "node-a", from };
  const flow: Flow = { protocol: "TCP", source: { address: source }, destination: { address: to, port } };
  return explain(snapshot, place, flow, options);
}

/** `default/api-1 10.244.0.2:8080 from 10.244.0.9` for each way on, or how it ends. */
function ways(explanation: Explanation): readonly string[] {
  const { outcome } = explanation;
  if (outcome.kind !== "next") return [outcome.kind];
  return outcome.alternatives.map(
    ({ name, flow }) =>
      `${name} ${flow.destination.address}:${flow.destination.port} from ${flow.source.address}`,
  );
}

test("a pod's connection to a ClusterIP goes to any ready endpoint, its source kept", () => {
  const told = explained({});
  assert.deepEqual([...ways(told)].sort(), [
    "default/api-1 10.244.0.2:8080 from 10.244.0.9",
    "default/api-2 10.244.0.3:8080 from 10.244.0.9",
    "default/api-3 10.244.1.2:8080 from 10.244.0.9",
  ]);
  const [step] = told.steps;
  assert.equal(step?.hop, "4-proxy");
  assert.deepEqual(step?.rewrites, ["destination 10.96.0.7:80 -> one of 3 endpoints"]);
  assert.equal(step?.decision?.chosen, undefined);
});

test("who is chosen is said where only one can be, or where the kernel's order is known", () => {
  assert.equal(explained({ endpoints: [b1] }).steps[0]?.decision?.chosen, "default/api-3");
  const slots = [a2, b1, a1].map(({ address }) => ({ address, port: 8080 }));
  const rotation = new Map([["default/api:http/TCP", { slots, next: 1 }]]);
  const told = explained({}, {}, { rotation });
  assert.equal(told.steps[0]?.decision?.chosen, "default/api-3");
  assert.equal(told.steps[0]?.decision?.next, "default/api-3");
  assert.match(told.steps[0]?.decision?.reason ?? "", /; next in turn is default\/api-3$/);
  assert.deepEqual(
    ways(told).map((way) => way.split(" ")[0]),
    ["default/api-3", "default/api-1", "default/api-2"],
  );
});

test("a pod that meets itself is masqueraded, and only then", () => {
  const told = explained({ endpoints: [a1, b1] }, { source: "10.244.0.2" });
  assert.deepEqual([...ways(told)].sort(), [
    "default/api-1 10.244.0.2:8080 from 172.30.0.11",
    "default/api-3 10.244.1.2:8080 from 10.244.0.2",
  ]);
  assert.match(told.steps[0]?.rewrites[1] ?? "", /masquerade\) if 10\.244\.0\.2 is chosen itself$/);
});

const local = { externalTrafficPolicy: "Local" } as const;
const outside = { from: "outside", source: "203.0.113.10", to: VIP } as const;

test("policy Local: from outside to local endpoints with the source kept, from pods to all", () => {
  assert.deepEqual([...ways(explained(local, outside))].sort(), [
    "default/api-1 10.244.0.2:8080 from 203.0.113.10",
    "default/api-2 10.244.0.3:8080 from 203.0.113.10",
  ]);
  assert.equal(ways(explained(local, { to: VIP })).length, 3);
  assert.match(
    ways(explained(local, { to: VIP, from: "node", source: "172.30.0.11" }))[0] ?? "",
    /from 172\.30\.0\.11$/,
  );
});

test("each candidate says why it may not be chosen", () => {
  const told = explained({ ...local, endpoints: [a1, { ...a2, ready: false }, b1] }, outside);
  assert.deepEqual(
    told.steps[0]?.decision?.candidates.map(({ name, eligible, reason }) => `${name} ${eligible}: ${reason}`),
    [
      "default/api-1 true: ready",
      "default/api-2 false: not ready",
      "default/api-3 false: not on node-a, and the traffic policy is Local",
    ],
  );
});

test("no ready endpoints: rejected, with the reason and what to do", () => {
  const { outcome } = explained({ endpoints: [{ ...a1, ready: false }] });
  assert.equal(outcome.kind, "rejected");
  assert.ok(outcome.kind === "rejected");
  assert.equal(
    outcome.reason,
    "Service default/api has no ready endpoints: 1 endpoint(s), none of them ready",
  );
  assert.match(outcome.mend ?? "", /kubectl -n default get endpointslices/);
});

test("policy Local without a local endpoint: dropped, and it says where there are some", () => {
  const { outcome, steps } = explained({ ...local, endpoints: [b1] }, outside);
  assert.ok(outcome.kind === "dropped");
  assert.match(
    outcome.reason,
    /externalTrafficPolicy Local and no ready endpoint on node-a \(it has on: node-b\)/,
  );
  assert.deepEqual(steps[0]?.predicted, [`no-endpoints: ${VIP} . tcp . 80 : drop`]);
});

test("a packet for no Service passes unchanged", () => {
  const told = explained({}, { to: "10.244.1.2", port: 8080 });
  assert.deepEqual(ways(told), ["10.244.1.2 10.244.1.2:8080 from 10.244.0.9"]);
  assert.equal(told.steps[0]?.action, "pass");
});

test("another port of a ClusterIP is rejected by nftables rules, and passes iptables rules", () => {
  const { outcome, steps } = explained({}, { port: 81 });
  assert.ok(outcome.kind === "rejected");
  assert.equal(outcome.mend, "Service default/api has 80/TCP: use one of these");
  assert.equal(steps[0]?.evaluated[0]?.why, "another port");
  assert.equal(explained({}, { port: 81 }, { mode: "iptables" }).outcome.kind, "next");
});

test("in IPVS mode the other ports of every Service address are rejected, and those of the node pass", () => {
  const told = (to: string) => explained({}, { to, port: 81 }, { mode: "ipvs" }).steps[0];
  assert.equal(told("10.96.0.7")?.action, "reject");
  assert.equal(told(VIP)?.action, "reject");
  assert.deepEqual(told(VIP)?.predicted, ["outside: ip daddr @service-ips goto reject-it"]);
  assert.equal(told("172.30.0.11")?.action, "pass");
});

test("the scheduler that a Service asks for decides where the mode can follow it", () => {
  const algorithm = (mode: "nftables" | "userspace"): string | undefined =>
    explained({ scheduler: "lc" }, {}, { mode }).steps[0]?.decision?.algorithm;
  assert.equal(algorithm("userspace"), "least connections");
  assert.equal(algorithm("nftables"), "round robin (nftables cannot do least connections)");
});

test("without rules of a kernel an address that nobody serves is refused by nobody, and lists are told as they are", () => {
  const refused = explained({}, { port: 81 }, { mode: "userspace" });
  assert.equal(refused.outcome.kind, "rejected");
  assert.deepEqual(refused.steps[0]?.predicted, ["nobody listens there"]);
  const [dispatch, list = ""] = explained({}, {}, { mode: "userspace" }).steps[0]?.predicted ?? [];
  assert.equal(dispatch, "10.96.0.7 . tcp . 80 : default/api:http/TCP");
  assert.match(list, /^default\/api:http\/TCP: rr of (10\.244\.\d\.\d:8080(, )?){3}$/);
});

test("the predicted rules are those of the mode", () => {
  const nft = explained({ endpoints: [b1] }).steps[0]?.predicted ?? [];
  assert.equal(nft[0], "services: 10.96.0.7 . tcp . 80 : goto svc/default/api/tcp/http");
  assert.match(nft[1] ?? "", /numgen inc mod 1 offset BLOCK map @endpoints-tcp$/);
  const iptables = explained({ endpoints: [b1] }, {}, { mode: "iptables" }).steps[0]?.predicted ?? [];
  assert.match(iptables[0] ?? "", /^-A INROAD-SERVICES -d 10\.96\.0\.7\/32 -p tcp -m tcp --dport 80 /);
  assert.match(iptables.at(-1) ?? "", /-j DNAT --to-destination 10\.244\.1\.2:8080$/);
  const ipvs = explained({ endpoints: [b1] }, {}, { mode: "ipvs" }).steps[0]?.predicted ?? [];
  assert.ok(ipvs.includes("marks: 10.96.0.7 . tcp . 80 : MARK"));
  assert.deepEqual(ipvs.slice(-2), ["-A -f MARK -s rr", "-a -f MARK -r 10.244.1.2:8080 -m -w 1"]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Alternative, Explanation, Finding, Flow, Outcome, Place, Step } from "#model";
import { exampleSnapshot, ingress, rule } from "../../test/support/snapshot.ts";
import { driveThrough, type HopTable } from "./drive.ts";

const flow: Flow = {
  protocol: "TCP",
  source: { address: "203.0.113.10" },
  destination: { address: "203.0.113.128", port: 80 },
  http: { method: "GET", host: "api.hadywafa.com", path: "/", headers: {} },
};
const edge: Place = { at: "edge" };
const onNode = (node: string): Place => ({ at: "node", node });
const proxyAt = (node: string): Place => ({ at: "proxy", node, from: "outside" });
const pod = { namespace: "default", name: "api-1" };

const step = (more: Partial<Step> = {}): Step => ({
  hop: "4-proxy",
  component: "test",
  action: "test",
  from: "a",
  to: "b",
  evaluated: [],
  rewrites: [],
  predicted: [],
  ...more,
});

function to(name: string, place: Place, destination: Partial<Flow["destination"]> = {}): Alternative {
  return { name, place, flow: { ...flow, destination: { ...flow.destination, ...destination } } };
}

const next = (steps: readonly Step[], ...alternatives: readonly Alternative[]): Explanation => ({
  steps,
  outcome: { kind: "next", alternatives },
  assumptions: [],
});
const end = (outcome: Outcome): Explanation => ({ steps: [step()], outcome, assumptions: [] });

const never = (): Explanation => {
  throw new Error("nobody should come here");
};

/** Hops that are never asked, except those given. */
function table(hops: Partial<HopTable>): HopTable {
  return {
    "public-dns": never,
    "cluster-dns": never,
    edge: never,
    proxy: never,
    node: never,
    pod: never,
    ingress: never,
    ...hops,
  };
}

const straight = table({
  edge: () => next([step()], to("node-a", proxyAt("node-a")), to("node-b", proxyAt("node-b"))),
  proxy: (_snapshot, place) =>
    next([step()], to("api-1", onNode(place.node), { address: "10.244.0.5", port: 8080 })),
  node: () => next([step()], to("api-1", { at: "pod", pod })),
  pod: () => end({ kind: "delivered", pod }),
});
const start = { place: edge, flow };

test("a flow is driven until it is delivered", () => {
  const route = driveThrough(straight, exampleSnapshot(), start, () => 0);
  assert.deepEqual(
    route.visits.map(({ place }) => place.at),
    ["edge", "proxy", "node", "pod"],
  );
  assert.deepEqual(route.verdict, { kind: "delivered", pod });
});

const placeAfterPick = (pick: number): unknown =>
  driveThrough(straight, exampleSnapshot(), start, (alternatives) => (alternatives.length > 1 ? pick : 0))
    .visits[1]?.place;

test("the picked alternative is followed, and a pick that does not exist is the first", () => {
  assert.deepEqual(placeAfterPick(1), proxyAt("node-b"));
  assert.deepEqual(placeAfterPick(7), proxyAt("node-a"));
  assert.deepEqual(placeAfterPick(Number.NaN), proxyAt("node-a"));
});

test("what was picked and how addresses changed is written into the step", () => {
  const candidates = ["api-1", "api-2"].map((name) => ({ name, eligible: true }));
  const decision = { algorithm: "round robin", candidates, reason: "" };
  const rewrites = ["destination 203.0.113.128:80 -> one of 2 endpoints", "X-Real-IP: 1"];
  const hops = table({
    ...straight,
    proxy: () =>
      next(
        [step({ decision, rewrites })],
        to("api-1", onNode("node-a"), { address: "10.244.0.5", port: 8080 }),
        to("api-2", onNode("node-a"), { address: "10.244.0.6", port: 8080 }),
      ),
  });
  const route = driveThrough(
    hops,
    exampleSnapshot(),
    { place: proxyAt("node-a"), flow },
    (all) => all.length - 1,
  );
  const [written] = route.visits[0]?.steps ?? [];
  assert.equal(written?.decision?.chosen, "api-2");
  assert.equal(written?.to, "api-2");
  assert.deepEqual(written?.rewrites, ["destination 203.0.113.128:80 -> 10.244.0.6:8080", "X-Real-IP: 1"]);
});

test("a packet that comes back to where it was goes in a circle", () => {
  const hops = table({ edge: () => next([], to("edge", edge)) });
  const { verdict } = driveThrough(hops, exampleSnapshot(), start, () => 0);
  assert.ok(verdict.kind === "dropped");
  assert.match(verdict.reason, /circle.*the load balancer/);
});

test("a way that never ends is cut", () => {
  let port = 1;
  const hops = table({ edge: () => next([], to("edge", edge, { port: port++ })) });
  assert.equal(driveThrough(hops, exampleSnapshot(), start, () => 0).verdict.kind, "dropped");
});

test("a hop that knows no next place leaves the end unknown", () => {
  const { verdict } = driveThrough(table({ edge: () => next([]) }), exampleSnapshot(), start, () => 0);
  assert.equal(verdict.kind, "unknown");
});

const doubt: Finding = {
  code: "Test",
  severity: "warning",
  object: { kind: "Service", namespace: "default", name: "x" },
  message: "not implemented",
  mend: "remove it",
  affectsRouting: true,
};

/** What a hop assumes, how it ends, and the verdict. */
const doubts: readonly (readonly [name: string, finding: Finding, outcome: Outcome, verdict: string])[] = [
  ["a delivery in doubt is unknown", doubt, { kind: "delivered", pod }, "unknown"],
  [
    "a harmless finding does not matter",
    { ...doubt, affectsRouting: false },
    { kind: "delivered", pod },
    "delivered",
  ],
  ["a rejection in doubt stays a rejection", doubt, { kind: "rejected", reason: "no" }, "rejected"],
];

for (const [name, finding, outcome, expected] of doubts) {
  test(name, () => {
    const hops = table({ edge: () => ({ ...end(outcome), assumptions: [finding] }) });
    const route = driveThrough(hops, exampleSnapshot(), start, () => 0);
    assert.equal(route.verdict.kind, expected);
    assert.equal(route.reached.kind, outcome.kind);
    assert.deepEqual(route.assumptions, [finding]);
  });
}

test("findings about the objects on the way count although no hop names them", () => {
  const annotations = { "nginx.ingress.kubernetes.io/canary": "true" };
  const rules = [rule("api.hadywafa.com", "/", "api-service", 80)];
  const snapshot = exampleSnapshot({
    ingresses: [
      ingress("a", { rules }),
      ingress("canary", { rules }, { annotations, created: "2026-02-01T00:00:00Z" }),
    ],
  });
  const hops = table({ ingress: () => end({ kind: "delivered", pod }) });
  const { verdict } = driveThrough(hops, snapshot, { place: { at: "ingress", pod }, flow }, () => 0);
  assert.ok(verdict.kind === "unknown");
  assert.match(verdict.reason, /^Ingress default\/canary: annotation nginx\.ingress\.kubernetes\.io\/canary/);
});

test("the Service, the pods and the node at a place are named", () => {
  const snapshot = exampleSnapshot();
  const objects = (place: Place, given: Partial<Flow> = {}): readonly string[] => {
    const hops = table({
      proxy: () => end({ kind: "delivered", pod }),
      node: () => end({ kind: "delivered", pod }),
      edge: () => end({ kind: "delivered", pod }),
    });
    const { visits } = driveThrough(hops, snapshot, { place, flow: { ...flow, ...given } }, () => 0);
    return visits.flatMap((visit) => visit.objects.map(({ kind, name }) => `${kind} ${name}`));
  };
  assert.deepEqual(objects(edge), ["Service inroad-ingress"]);
  assert.deepEqual(objects(onNode("node-b")), ["Node node-b"]);
  const fromPod = { source: { address: "10.244.0.5" }, destination: { address: "10.96.1.1", port: 80 } };
  assert.deepEqual(objects(proxyAt("node-a"), fromPod), ["Service api-service", "Pod api-1"]);
  const nodePort = { destination: { address: "172.30.0.12", port: 30080 } };
  assert.deepEqual(objects(proxyAt("node-b"), nodePort), ["Service inroad-ingress"]);
});

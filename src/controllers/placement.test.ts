import assert from "node:assert/strict";
import { test } from "node:test";
import type { Taint } from "kubernetes-types/core/v1.js";
import type { Node, Pod } from "./objects.ts";
import { placePod } from "./placement.ts";

function node(
  name: string,
  { labels = {}, taints = [] as Taint[], ready = "True", unschedulable = false } = {},
): Node {
  return {
    metadata: { name, labels },
    spec: { taints, unschedulable },
    status: { conditions: [{ type: "Ready", status: ready }] },
  };
}

function pod(
  name: string,
  {
    owner = "set",
    on = "",
    namespace = "default",
    spec = {},
  }: { owner?: string; on?: string; namespace?: string; spec?: object } = {},
): Pod {
  return {
    metadata: {
      name,
      namespace,
      ownerReferences: [
        { apiVersion: "apps/v1", kind: "ReplicaSet", name: "set", uid: owner, controller: true },
      ],
    },
    spec: { nodeName: on, containers: [], ...spec },
  };
}

const two = [node("node-b"), node("node-a")];

test("three pods of one controller over two nodes: a, b, a, whatever other namespaces run", () => {
  const others = [pod("dns", { on: "node-a", namespace: "kube-system" })];
  const placed: Pod[] = [];
  for (const name of ["p1", "p2", "p3"]) {
    const { node: on = "" } = placePod(pod(name), two, [...others, ...placed]);
    placed.push(pod(name, { on }));
  }
  assert.deepEqual(
    placed.map((one) => one.spec?.nodeName),
    ["node-a", "node-b", "node-a"],
  );
});

test("pods of the same controller count first, then those of the namespace", () => {
  const pods = [
    pod("x", { on: "node-a" }),
    pod("y", { on: "node-b", owner: "o" }),
    pod("z", { on: "node-b", owner: "o" }),
  ];
  assert.equal(placePod(pod("p"), two, pods).node, "node-b");
  assert.equal(placePod(pod("p", { owner: "third" }), two, pods).node, "node-a");
});

const taint = { key: "k", value: "v", effect: "NoSchedule" };

const refused: readonly [string, Node, spec: object, message: string][] = [
  ["unready", node("n", { ready: "False" }), {}, "node(s) were not ready"],
  ["cordoned", node("n", { unschedulable: true }), {}, "node(s) were unschedulable"],
  ["tainted", node("n", { taints: [taint] }), {}, "node(s) had untolerated taint {k: v}"],
  [
    "tainted NoExecute",
    node("n", { taints: [{ key: "k", effect: "NoExecute" }] }),
    {},
    "node(s) had untolerated taint {k: }",
  ],
  [
    "another value tolerated",
    node("n", { taints: [taint] }),
    { tolerations: [{ key: "k", value: "w" }] },
    "node(s) had untolerated taint {k: v}",
  ],
  [
    "nodeSelector",
    node("n", { labels: { disk: "slow" } }),
    { nodeSelector: { disk: "fast" } },
    "node(s) didn't match Pod's node affinity/selector",
  ],
];

for (const [what, one, spec, message] of refused) {
  test(`refused: ${what}`, () => {
    assert.deepEqual(placePod(pod("p", { spec }), [one], []), {
      message: `0/1 nodes are available: 1 ${message}.`,
    });
  });
}

const required = (...terms: object[]) => ({
  affinity: {
    nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms } },
  },
});
const cpu = node("n", { labels: { cpu: "8", zone: "z1" }, taints: [taint] });
const tolerations = [{ key: "k", operator: "Exists" }];

const matching: readonly [string, term: object, fits: boolean][] = [
  ["In", { matchExpressions: [{ key: "zone", operator: "In", values: ["z0", "z1"] }] }, true],
  ["NotIn", { matchExpressions: [{ key: "zone", operator: "NotIn", values: ["z1"] }] }, false],
  ["NotIn without the label", { matchExpressions: [{ key: "x", operator: "NotIn", values: ["z1"] }] }, true],
  ["Exists", { matchExpressions: [{ key: "zone", operator: "Exists" }] }, true],
  ["DoesNotExist", { matchExpressions: [{ key: "zone", operator: "DoesNotExist" }] }, false],
  ["Gt", { matchExpressions: [{ key: "cpu", operator: "Gt", values: ["4"] }] }, true],
  ["Lt", { matchExpressions: [{ key: "cpu", operator: "Lt", values: ["8"] }] }, false],
  ["a field", { matchFields: [{ key: "metadata.name", operator: "In", values: ["n"] }] }, true],
  ["an empty term matches nothing", {}, false],
];

for (const [what, term, fits] of matching) {
  test(`node affinity: ${what}`, () => {
    const { node: on } = placePod(pod("p", { spec: { tolerations, ...required(term) } }), [cpu], []);
    assert.equal(on, fits ? "n" : undefined);
  });
}

test("a taint PreferNoSchedule is avoided while another node is there", () => {
  const shy = node("a", { taints: [{ key: "k", effect: "PreferNoSchedule" }] });
  assert.equal(placePod(pod("p"), [shy, node("b")], []).node, "b");
  assert.equal(placePod(pod("p"), [shy], []).node, "a");
});

test("a host port is taken once per node and protocol", () => {
  const spec = { containers: [{ name: "c", ports: [{ containerPort: 80, hostPort: 8080 }] }] };
  const taken = pod("x", { on: "node-a", spec: { ...spec, nodeName: "node-a" } });
  assert.equal(placePod(pod("p", { spec }), two, [taken]).node, "node-b");
  assert.deepEqual(placePod(pod("p", { spec }), [node("node-a")], [taken]), {
    message: "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
  });
});

test("reasons are counted", () => {
  const nodes = [
    node("a", { ready: "False" }),
    node("b", { ready: "Unknown" }),
    node("c", { taints: [taint] }),
  ];
  assert.deepEqual(placePod(pod("p"), nodes, []), {
    message: "0/3 nodes are available: 1 node(s) had untolerated taint {k: v}, 2 node(s) were not ready.",
  });
  assert.deepEqual(placePod(pod("p"), [], []), { message: "no nodes available to schedule pods" });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { daemonPod, nodeOfDaemon } from "./daemon-pod.ts";
import { daemonSetStatus, planDaemonSet } from "./daemon-set-plan.ts";
import type { DaemonSet, Node, Pod } from "./objects.ts";

const now = Date.parse("2026-01-01T00:10:00Z");
const set = (rollingUpdate: object = {}, podSpec: object = {}, type = "RollingUpdate"): DaemonSet => ({
  metadata: { name: "log", namespace: "shop", uid: "d1", generation: 2 },
  spec: {
    selector: {},
    template: { metadata: { labels: { app: "log" } }, spec: { containers: [{ name: "c" }], ...podSpec } },
    updateStrategy: { type, ...(type === "RollingUpdate" ? { rollingUpdate } : {}) },
  },
});
const node = (name: string, more: { taints?: object[]; labels?: Record<string, string> } = {}): Node =>
  ({ metadata: { name, labels: more.labels ?? {} }, spec: { taints: more.taints ?? [] } }) as Node;
const three = [node("a"), node("b"), node("c")];

/** `a` a ready pod on node a, `b-` one that is not ready, `cx` one that ends, `a!` one that failed, `b/old` one of that revision. */
function pod(text: string, index: number): Pod {
  const [, on = "", state, revision = "new"] = /^([a-z])([-x!]?)(?:\/(\w+))?$/.exec(text) ?? [];
  return {
    metadata: {
      name: text,
      uid: text,
      creationTimestamp: `2026-01-01T00:00:0${index}Z`,
      labels: { "controller-revision-hash": revision },
      ...(state === "x" ? { deletionTimestamp: "2026-01-01T00:09:00Z" } : {}),
    },
    spec: { nodeName: on, containers: [] },
    status: {
      phase: state === "!" ? "Failed" : "Running",
      conditions: [
        {
          type: "Ready",
          status: state === "" ? "True" : "False",
          lastTransitionTime: "2026-01-01T00:00:00Z",
        },
      ],
    },
  };
}
const podsOf = (text: string): Pod[] => text.split(" ").filter(Boolean).map(pod);
const planned = (text: string, given = set(), nodes: readonly Node[] = three): string => {
  const { create, remove } = planDaemonSet({ set: given, pods: podsOf(text), nodes, hash: "new", now });
  return [...create.map((name) => `+${name}`), ...remove.map((one) => `-${one.metadata?.name}`)].join(" ");
};

const noSchedule = { taints: [{ key: "k", effect: "NoSchedule" }] };
const noExecute = { taints: [{ key: "k", effect: "NoExecute" }] };
const gone = { taints: [{ key: "node.kubernetes.io/unreachable", effect: "NoExecute" }] };

const table: readonly (readonly [what: string, expected: string, got: string])[] = [
  ["every node gets one", "+a +b +c", planned("")],
  ["and only one", "-b", planned("a b b c")],
  ["a pod that ends is waited for", "", planned("a bx c")],
  ["a pod that failed is replaced", "-b!", planned("a b! c")],
  [
    "a taint keeps it away",
    "+a",
    planned("", set(), [node("a"), node("b", noSchedule), node("c", noExecute)]),
  ],
  [
    "NoSchedule lets it stay, NoExecute does not",
    "-c",
    planned("a b c", set(), [node("a"), node("b", noSchedule), node("c", noExecute)]),
  ],
  [
    "it stays on a node that is lost, and comes to one",
    "+b",
    planned("a c", set(), [node("a", gone), node("b", gone), node("c")]),
  ],
  ["a pod of a node that is no more goes", "-c", planned("a b c", set(), [node("a"), node("b")])],
  [
    "a node selector chooses",
    "+b",
    planned("", set({}, { nodeSelector: { disk: "ssd" } }), [
      node("a"),
      node("b", { labels: { disk: "ssd" } }),
    ]),
  ],
  [
    "a toleration opens a node",
    "+a",
    planned("", set({}, { tolerations: [{ key: "k", operator: "Exists" }] }), [node("a", noExecute)]),
  ],
  ["an update takes one node at a time", "-a/old", planned("a/old b/old c/old")],
  ["waits while a pod is not available", "", planned("a- b/old c/old")],
  ["takes broken ones at once", "-a-/old -b-/old", planned("a-/old b-/old c/old")],
  [
    "more at a time if allowed",
    "-a/old -b/old",
    planned("a/old b/old c/old", set({ maxUnavailable: "50%" })),
  ],
  [
    "surge: the new one comes first",
    "+a",
    planned("a/old b/old c/old", set({ maxSurge: 1, maxUnavailable: 0 })),
  ],
  [
    "surge: the former goes when the new one serves",
    "-a/old",
    planned("a/old a b/old c/old", set({ maxSurge: 1, maxUnavailable: 0 })),
  ],
  ["surge: not before", "", planned("a/old a- b/old c/old", set({ maxSurge: 1, maxUnavailable: 0 }))],
  ["OnDelete replaces nothing", "", planned("a/old b/old c/old", set({}, {}, "OnDelete"))],
];
for (const [what, expected, got] of table) {
  test(`pods of a DaemonSet: ${what}`, () => assert.equal(got, expected));
}

test("a pod is bound to its node by affinity and tolerates what befalls nodes", () => {
  const made = daemonPod(set(), "b", "h1") as Pod;
  assert.equal(nodeOfDaemon(made), "b");
  assert.deepEqual(made.metadata?.labels, { app: "log", "controller-revision-hash": "h1" });
  const keys = made.spec?.tolerations?.map(({ key, effect }) => `${key?.split("/")[1]}:${effect}`);
  assert.ok(keys?.includes("unreachable:NoExecute") === true && keys.includes("unschedulable:NoSchedule"));
  assert.equal(keys?.includes("network-unavailable:NoSchedule"), false);
});

test("the status counts nodes", () => {
  const nodes = [...three, node("d", noSchedule)];
  const input = { set: set(), pods: podsOf("a b-/old d"), nodes, hash: "new", now };
  assert.deepEqual(daemonSetStatus(input), {
    currentNumberScheduled: 2,
    numberMisscheduled: 1,
    desiredNumberScheduled: 3,
    numberReady: 1,
    observedGeneration: 2,
    updatedNumberScheduled: 1,
    numberAvailable: 1,
    numberUnavailable: 2,
  });
});

import { test } from "node:test";
import assert from "node:assert/strict";
import type { KubeObject } from "#kube";
import type { ContainerView } from "./container.ts";
import { podStatus } from "./status.ts";
import type { PodView } from "./status.ts";

const at = "2030-01-01T00:00:00Z";
const now = "2030-01-01T00:01:00Z";

function container(name: string, more: Partial<ContainerView> = {}): ContainerView {
  return {
    container: { name, image: `example/${name}` },
    runner: "stand-in",
    state: { kind: "running", startedAt: at },
    last: undefined,
    restarts: 0,
    started: true,
    ready: true,
    simulated: [],
    ...more,
  };
}

const ended = (exitCode: number) => ({
  exitCode,
  reason: exitCode === 0 ? "Completed" : "Error",
  startedAt: at,
  finishedAt: now,
});

function view(containers: readonly ContainerView[], more: Partial<PodView> = {}): PodView {
  return {
    object: { metadata: { name: "p" }, spec: { containers: containers.map((one) => one.container) } },
    node: { name: "node-a", address: "172.30.0.11", addresses: ["172.30.0.11", "fd00:172:30::11"] },
    startTime: at,
    addresses: ["10.244.0.2", "fd00:10:244::2"],
    init: [],
    containers,
    ...more,
  };
}

function condition(status: ReturnType<typeof podStatus>, type: string) {
  return status.conditions?.find((one) => one.type === type);
}

test("a pod whose containers run and are ready is Running and Ready", () => {
  const status = podStatus(view([container("a"), container("b")]), now);
  assert.equal(status.phase, "Running");
  assert.deepEqual(
    [status.hostIP, status.hostIPs, status.podIP, status.podIPs],
    [
      "172.30.0.11",
      [{ ip: "172.30.0.11" }, { ip: "fd00:172:30::11" }],
      "10.244.0.2",
      [{ ip: "10.244.0.2" }, { ip: "fd00:10:244::2" }],
    ],
  );
  assert.deepEqual(
    ["PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"].map(
      (type) => condition(status, type)?.status,
    ),
    ["True", "True", "True", "True", "True"],
  );
});

test("unready containers are named in Kubernetes' words", () => {
  const status = podStatus(
    view([container("a"), container("b", { ready: false }), container("c", { ready: false })]),
    now,
  );
  assert.equal(condition(status, "Ready")?.message, "containers with unready status: [b c]");
  assert.equal(condition(status, "Ready")?.reason, "ContainersNotReady");
});

const waiting = { kind: "waiting", reason: "ContainerCreating" } as const;
const phases: readonly [what: string, containers: readonly ContainerView[], phase: string][] = [
  [
    "one container never started",
    [container("a"), container("b", { state: waiting, ready: false })],
    "Pending",
  ],
  [
    "one container is in back-off after it ran",
    [container("a", { state: waiting, last: ended(1), ready: false })],
    "Running",
  ],
  ["all ended well", [container("a", { state: { kind: "terminated", ...ended(0) } })], "Succeeded"],
  [
    "one ended badly",
    [
      container("a", { state: { kind: "terminated", ...ended(0) } }),
      container("b", { state: { kind: "terminated", ...ended(3) } }),
    ],
    "Failed",
  ],
  [
    "one ended, one runs",
    [container("a", { state: { kind: "terminated", ...ended(0) } }), container("b")],
    "Running",
  ],
];
for (const [what, containers, phase] of phases) {
  test(`${phase} when ${what}`, () => assert.equal(podStatus(view(containers), now).phase, phase));
}

test("the time of a condition changes only with its status", () => {
  const object: KubeObject = {
    ...view([container("a")]).object,
    status: {
      conditions: [
        { type: "Initialized", status: "True", lastTransitionTime: at },
        { type: "Ready", status: "False", lastTransitionTime: at },
      ],
    },
  };
  const status = podStatus(view([container("a")], { object }), now);
  assert.equal(condition(status, "Initialized")?.lastTransitionTime, at);
  assert.equal(condition(status, "Ready")?.lastTransitionTime, now);
});

test("a readiness gate that nobody opened holds Ready back, not ContainersReady", () => {
  const object: KubeObject = {
    metadata: { name: "p" },
    spec: { containers: [], readinessGates: [{ conditionType: "x/gate" }] },
  };
  const status = podStatus(view([container("a")], { object }), now);
  assert.deepEqual(
    [condition(status, "ContainersReady")?.status, condition(status, "Ready")?.reason],
    ["True", "ReadinessGatesNotReady"],
  );
});

test("what is only pretended is said in a condition", () => {
  const status = podStatus(view([container("a", { simulated: ["exec liveness probe"] })]), now);
  assert.equal(
    condition(status, "inroad.dev/Simulated")?.message,
    "counts as passed: container a: exec liveness probe",
  );
  assert.equal(condition(podStatus(view([container("a")]), now), "inroad.dev/Simulated"), undefined);
});

test("without a network yet there is no address, and the pod is Pending", () => {
  const status = podStatus(view([container("a", { state: waiting, ready: false })], { addresses: [] }), now);
  assert.deepEqual(
    [status.phase, status.podIP, condition(status, "PodReadyToStartContainers")?.status],
    ["Pending", undefined, "False"],
  );
});

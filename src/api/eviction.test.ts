import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createTestApi } from "./testing.ts";
import type { Answer, TestApi } from "./testing.ts";

const PODS = "/api/v1/namespaces/default/pods";
const BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";

async function addPod(api: TestApi, name: string, status: object = {}): Promise<void> {
  const containers = [{ name: "c", image: "example.com/app:1" }];
  await api.call("POST", PODS, {
    metadata: { name, labels: { app: "web" } },
    spec: { containers, nodeName: "node-a" },
  });
  const running = { phase: "Running", conditions: [{ type: "Ready", status: "True" }], ...status };
  await api.call("PATCH", `${PODS}/${name}/status`, { status: running });
}

async function addBudget(api: TestApi, name: string, status: object, spec: object = {}): Promise<void> {
  const selector = { matchLabels: { app: "web" } };
  const made = await api.call("POST", BUDGETS, {
    metadata: { name },
    spec: { minAvailable: 1, selector, ...spec },
  });
  assert.equal(made.status, 201, made.text);
  await api.call("PATCH", `${BUDGETS}/${name}/status`, { status: { observedGeneration: 1, ...status } });
}

const evict = (api: TestApi, name: string, body: object = {}, query = ""): Promise<Answer> =>
  api.call("POST", `${PODS}/${name}/eviction${query}`, {
    apiVersion: "policy/v1",
    kind: "Eviction",
    metadata: { name, namespace: "default" },
    ...body,
  });
const isEnding = async (api: TestApi, name: string): Promise<boolean> => {
  const { status, body } = await api.call("GET", `${PODS}/${name}`);
  return (
    status === 404 || (body["metadata"] as { deletionTimestamp?: string }).deletionTimestamp !== undefined
  );
};
const statusOf = async (api: TestApi): Promise<Record<string, unknown>> =>
  (await api.call("GET", `${BUDGETS}/b`)).body["status"] as Record<string, unknown>;

describe("an eviction", () => {
  it("is a deletion, with a condition that tells why", async () => {
    const api = createTestApi();
    await addPod(api, "p");
    const answer = await evict(api, "p", { deleteOptions: { gracePeriodSeconds: 7 } });
    assert.deepEqual([answer.status, answer.body["status"]], [201, "Success"]);
    const { body } = await api.call("GET", `${PODS}/p`);
    const { conditions } = body["status"] as { conditions: { type: string; reason?: string }[] };
    assert.equal(conditions.find(({ type }) => type === "DisruptionTarget")?.reason, "EvictionByEvictionAPI");
    assert.equal((body["metadata"] as { deletionGracePeriodSeconds: number }).deletionGracePeriodSeconds, 7);
  });

  it("takes one disruption from the budget, then is refused with 429", async () => {
    const api = createTestApi();
    for (const name of ["p", "q"]) await addPod(api, name);
    await addBudget(api, "b", { disruptionsAllowed: 1, currentHealthy: 2, desiredHealthy: 1 });
    assert.equal((await evict(api, "p")).status, 201);
    const { disruptionsAllowed, disruptedPods } = await statusOf(api);
    assert.equal(disruptionsAllowed, 0);
    assert.deepEqual(Object.keys(disruptedPods as object), ["p"]);
    const refused = await evict(api, "q");
    assert.equal(refused.status, 429);
    assert.equal(
      refused.body["message"],
      "Cannot evict pod as it would violate the pod's disruption budget.",
    );
    assert.deepEqual(refused.body["details"], {
      causes: [
        {
          reason: "DisruptionBudget",
          message: "The disruption budget b needs 1 healthy pods and has 2 currently",
        },
      ],
    });
    assert.equal(await isEnding(api, "q"), false);
  });

  it("waits until the budget has been looked at", async () => {
    const api = createTestApi();
    await addPod(api, "p");
    await addBudget(api, "b", { observedGeneration: 0, disruptionsAllowed: 1 });
    const answer = await evict(api, "p");
    assert.deepEqual([answer.status, answer.headers["retry-after"]], [429, "10"]);
  });

  it("tried dry changes nothing", async () => {
    const api = createTestApi();
    await addPod(api, "p");
    await addBudget(api, "b", { disruptionsAllowed: 1 });
    assert.equal((await evict(api, "p", {}, "?dryRun=All")).status, 201);
    assert.equal((await evict(api, "p", { deleteOptions: { dryRun: ["All"] } })).status, 201);
    assert.equal((await statusOf(api))["disruptionsAllowed"], 1);
    assert.equal(await isEnding(api, "p"), false);
  });

  const free: readonly (readonly [string, object, object, object])[] = [
    ["a pod that has ended", { phase: "Failed" }, {}, {}],
    ["a pod that has not begun", { phase: "Pending" }, {}, {}],
    [
      "an unready pod where enough are healthy",
      { conditions: [] },
      { currentHealthy: 1, desiredHealthy: 1 },
      {},
    ],
    [
      "an unready pod where the budget says so",
      { conditions: [] },
      {},
      { unhealthyPodEvictionPolicy: "AlwaysAllow" },
    ],
  ];
  for (const [what, pod, status, spec] of free) {
    it(`of ${what} needs no budget`, async () => {
      const api = createTestApi();
      await addPod(api, "p", pod);
      await addBudget(api, "b", status, spec);
      assert.equal((await evict(api, "p")).status, 201);
      assert.equal(await isEnding(api, "p"), true);
    });
  }

  it("cannot serve two budgets, and needs the pod's own name and POST", async () => {
    const api = createTestApi();
    await addPod(api, "p");
    for (const name of ["b", "c"]) await addBudget(api, name, { disruptionsAllowed: 1 });
    assert.equal((await evict(api, "p")).status, 500);
    assert.equal((await evict(api, "p", { metadata: { name: "q" } })).status, 400);
    assert.equal((await evict(api, "nobody")).status, 404);
    assert.equal((await api.call("GET", `${PODS}/p/eviction`)).status, 405);
    assert.equal((await api.call("POST", `${PODS}/p/eviction`, "{")).status, 400);
  });

  it("is found by discovery as kubectl looks for it", async () => {
    const { body } = await createTestApi().call("GET", "/api/v1");
    const resources = body["resources"] as { name: string }[];
    assert.deepEqual(
      resources.find(({ name }) => name === "pods/eviction"),
      {
        name: "pods/eviction",
        singularName: "",
        namespaced: true,
        group: "policy",
        version: "v1",
        kind: "Eviction",
        verbs: ["create"],
      },
    );
  });
});

describe("a disruption budget", () => {
  it("says how many must stay or how many may go, not both", async () => {
    const api = createTestApi();
    const make = (spec: object) => api.call("POST", BUDGETS, { metadata: { name: "b" }, spec });
    const both = await make({ minAvailable: 1, maxUnavailable: 1 });
    assert.match(String(both.body["message"]), /minAvailable and maxUnavailable cannot be both set$/);
    assert.equal((await make({ minAvailable: -1 })).status, 422);
    assert.equal((await make({ maxUnavailable: "x%" })).status, 422);
    const made = await make({ maxUnavailable: "50%" });
    assert.deepEqual(made.body["status"], {
      disruptionsAllowed: 0,
      currentHealthy: 0,
      desiredHealthy: 0,
      expectedPods: 0,
    });
    assert.equal((made.body["metadata"] as { generation: number }).generation, 1);
  });
});

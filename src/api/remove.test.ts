import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { describe, it } from "node:test";
import { configMap, createTestApi } from "./testing.ts";
import type { Answer, TestApi } from "./testing.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";
const PODS = "/api/v1/namespaces/default/pods";
const meta = (answer: Answer): Record<string, unknown> => answer.body["metadata"] as Record<string, unknown>;

const pod = (name: string, spec: Record<string, unknown> = {}): unknown => ({
  metadata: { name },
  spec: { containers: [{ name: "c", image: "x" }], ...spec },
});
const exists = async (api: TestApi, path: string): Promise<boolean> =>
  (await api.call("GET", path)).status === 200;
/** Lets the clean-up after deletions run to its end. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn();
}

describe("deleting", () => {
  it("answers with a Status that names what is gone", async () => {
    const api = createTestApi();
    const { uid } = meta(await api.call("POST", MAPS, configMap("a")));
    const answer = await api.call("DELETE", `${MAPS}/a`);
    assert.equal(answer.body["status"], "Success");
    assert.deepEqual(answer.body["details"], { name: "a", kind: "configmaps", uid });
    assert.equal((await api.call("DELETE", `${MAPS}/a`)).status, 404);
  });

  it("waits for finalizers", async () => {
    const api = createTestApi();
    await api.call(
      "POST",
      MAPS,
      configMap("a", { metadata: { name: "a", finalizers: ["example.com/hold"] } }),
    );
    const held = await api.call("DELETE", `${MAPS}/a`);
    assert.equal(held.body["kind"], "ConfigMap");
    assert.ok(typeof meta(held)["deletionTimestamp"] === "string");
    assert.ok(await exists(api, `${MAPS}/a`));
    assert.equal((await api.call("PATCH", `${MAPS}/a`, { metadata: { finalizers: null } })).status, 200);
    assert.equal(await exists(api, `${MAPS}/a`), false);
  });

  const preconditions = [
    [{ uid: "other" }, /the UID in the precondition \(other\) does not match the UID in record/],
    [{ resourceVersion: "1" }, /the ResourceVersion in the precondition \(1\) does not match/],
  ] as const;
  for (const [given, message] of preconditions) {
    it(`with the precondition ${JSON.stringify(given)} is a conflict`, async () => {
      const api = createTestApi();
      await api.call("POST", MAPS, configMap("a"));
      const answer = await api.call("DELETE", `${MAPS}/a`, { preconditions: given });
      assert.equal(answer.status, 409);
      assert.match(String(answer.body["message"]), message);
    });
  }

  it("an unknown propagation policy is refused", async () => {
    const api = createTestApi();
    await api.call("POST", MAPS, configMap("a"));
    assert.equal((await api.call("DELETE", `${MAPS}/a?propagationPolicy=Bogus`)).status, 422);
  });

  it("a collection by selector leaves the rest", async () => {
    const api = createTestApi();
    for (const name of ["a", "b", "c"]) {
      await api.call(
        "POST",
        MAPS,
        configMap(name, { metadata: { name, labels: { l: name === "c" ? "y" : "x" } } }),
      );
    }
    const answer = await api.call("DELETE", `${MAPS}?labelSelector=l%3Dx`);
    assert.equal((answer.body["items"] as unknown[]).length, 2);
    assert.deepEqual([await exists(api, `${MAPS}/a`), await exists(api, `${MAPS}/c`)], [false, true]);
  });

  it("a dry run deletes nothing", async () => {
    const api = createTestApi();
    await api.call("POST", MAPS, configMap("a"));
    assert.equal((await api.call("DELETE", `${MAPS}/a?dryRun=All`)).status, 200);
    assert.ok(await exists(api, `${MAPS}/a`));
  });
});

describe("a pod", () => {
  it("on a node gets its grace period, which can only get shorter", async () => {
    const api = createTestApi();
    await api.call("POST", PODS, pod("p", { nodeName: "n", terminationGracePeriodSeconds: 40 }));
    const grace = async (query: string): Promise<unknown> =>
      meta(await api.call("DELETE", `${PODS}/p${query}`))["deletionGracePeriodSeconds"];
    assert.equal(await grace(""), 40);
    assert.equal(await grace("?gracePeriodSeconds=5"), 5);
    assert.equal(await grace("?gracePeriodSeconds=20"), 5);
    assert.ok(await exists(api, `${PODS}/p`));
    assert.equal(await grace("?gracePeriodSeconds=0"), 0);
    assert.equal(await exists(api, `${PODS}/p`), false);
  });

  it("that no node runs goes at once", async () => {
    const api = createTestApi();
    await api.call("POST", PODS, pod("p"));
    const answer = await api.call("DELETE", `${PODS}/p`);
    assert.equal(answer.body["kind"], "Pod");
    assert.equal(await exists(api, `${PODS}/p`), false);
  });
});

describe("a namespace", () => {
  it("goes with its content, and takes nothing new meanwhile", async () => {
    const api = createTestApi();
    await api.call("POST", "/api/v1/namespaces", { metadata: { name: "x" } });
    const maps = "/api/v1/namespaces/x/configmaps";
    await api.call("POST", maps, configMap("a"));
    await api.call(
      "POST",
      maps,
      configMap("held", { metadata: { name: "held", finalizers: ["example.com/hold"] } }),
    );
    const answer = await api.call("DELETE", "/api/v1/namespaces/x");
    assert.deepEqual(answer.body["status"], { phase: "Terminating" });
    const refused = await api.call("POST", maps, configMap("late"));
    assert.equal(refused.status, 403);
    assert.match(String(refused.body["message"]), /because it is being terminated$/);
    await settle();
    assert.deepEqual(
      [await exists(api, `${maps}/a`), await exists(api, "/api/v1/namespaces/x")],
      [false, true],
    );
    await api.call("PATCH", `${maps}/held`, { metadata: { finalizers: null } });
    await settle();
    assert.equal(await exists(api, "/api/v1/namespaces/x"), false);
  });

  it("that the cluster needs stays", async () => {
    const answer = await createTestApi().call("DELETE", "/api/v1/namespaces/default");
    assert.equal(
      answer.body["message"],
      'namespaces "default" is forbidden: this namespace may not be deleted',
    );
  });
});

async function family(): Promise<{ api: TestApi; owner: string }> {
  const api = createTestApi();
  const { uid } = meta(await api.call("POST", MAPS, configMap("owner")));
  const reference = { apiVersion: "v1", kind: "ConfigMap", name: "owner", uid, blockOwnerDeletion: true };
  await api.call(
    "POST",
    MAPS,
    configMap("child", { metadata: { name: "child", ownerReferences: [reference] } }),
  );
  await settle();
  assert.ok(await exists(api, `${MAPS}/child`));
  return { api, owner: String(uid) };
}

const owned = (name: string, kind: string): unknown =>
  configMap(name, {
    metadata: { name, ownerReferences: [{ apiVersion: "v1", kind, name: "x", uid: "gone" }] },
  });

describe("owned objects", () => {
  it("go after their owner in the background", async () => {
    const { api } = await family();
    await api.call("DELETE", `${MAPS}/owner`, { propagationPolicy: "Background" });
    await settle();
    assert.equal(await exists(api, `${MAPS}/child`), false);
  });

  it("go before their owner in the foreground", async () => {
    const { api } = await family();
    await api.call("PATCH", `${MAPS}/child`, { metadata: { finalizers: ["example.com/hold"] } });
    await api.call("DELETE", `${MAPS}/owner?propagationPolicy=Foreground`);
    await settle();
    assert.ok(await exists(api, `${MAPS}/owner`), "the owner waits");
    await api.call("PATCH", `${MAPS}/child`, { metadata: { finalizers: null } });
    await settle();
    assert.deepEqual(
      [await exists(api, `${MAPS}/child`), await exists(api, `${MAPS}/owner`)],
      [false, false],
    );
  });

  it("stay without owner when orphaned", async () => {
    const { api } = await family();
    await api.call("DELETE", `${MAPS}/owner?propagationPolicy=Orphan`);
    await settle();
    assert.equal(await exists(api, `${MAPS}/owner`), false);
    const child = await api.call("GET", `${MAPS}/child`);
    assert.deepEqual([child.status, meta(child)["ownerReferences"]], [200, undefined]);
  });

  it("whose owner never was go too, unless the owner is of a kind nobody serves", async () => {
    const api = createTestApi();
    await api.call("POST", MAPS, owned("a", "ConfigMap"));
    await api.call("POST", MAPS, owned("b", "Widget"));
    await settle();
    assert.deepEqual([await exists(api, `${MAPS}/a`), await exists(api, `${MAPS}/b`)], [false, true]);
  });

  it("Events older than an hour are swept away", async (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    let now = Date.parse("2030-01-01T00:00:00Z");
    const api = createTestApi({ clock: () => new Date(now) });
    const path = "/api/v1/namespaces/default/events";
    const event = (name: string): unknown => ({
      metadata: { name },
      involvedObject: { kind: "Pod", name: "p", namespace: "default" },
      lastTimestamp: new Date(now).toISOString().replace(/\.\d+/, ""),
    });
    await api.call("POST", path, event("old"));
    now += 3_601_000;
    await api.call("POST", path, event("new"));
    t.mock.timers.tick(60_000);
    assert.deepEqual([await exists(api, `${path}/old`), await exists(api, `${path}/new`)], [false, true]);
  });
});

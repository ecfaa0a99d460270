import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject, Resource } from "#kube";
import { ApiError } from "./api-error.ts";
import { type Client, createClient } from "./client.ts";
import { scriptedTransport } from "./scripted-transport.ts";

const services: Resource = {
  group: "",
  version: "v1",
  kind: "Service",
  plural: "services",
  namespaced: true,
};
const nodes: Resource = { group: "", version: "v1", kind: "Node", plural: "nodes", namespaced: false };
const ingresses: Resource = {
  group: "networking.k8s.io",
  version: "v1",
  kind: "Ingress",
  plural: "ingresses",
  namespaced: true,
};
const web: KubeObject = { metadata: { name: "web", namespace: "shop" }, spec: {} };

const requests: readonly {
  what: string;
  act: (client: Client) => Promise<unknown>;
  sends: string;
  type?: string;
}[] = [
  {
    what: "get",
    act: (c) => c.get(services, "web", "shop"),
    sends: "GET /api/v1/namespaces/shop/services/web",
  },
  {
    what: "get of a cluster-wide kind",
    act: (c) => c.get(nodes, "node-a"),
    sends: "GET /api/v1/nodes/node-a",
  },
  { what: "list of all namespaces", act: (c) => c.list(services), sends: "GET /api/v1/services?limit=500" },
  {
    what: "list with selectors",
    act: (c) =>
      c.list(ingresses, {
        namespace: "shop",
        labelSelector: "app in (a,b)",
        fieldSelector: "metadata.name=x",
      }),
    sends:
      "GET /apis/networking.k8s.io/v1/namespaces/shop/ingresses?limit=500&labelSelector=app%20in%20(a%2Cb)&fieldSelector=metadata.name%3Dx",
  },
  {
    what: "create",
    act: (c) => c.create(services, web),
    sends:
      'POST /api/v1/namespaces/shop/services {"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"shop"},"spec":{}}',
    type: "application/json",
  },
  {
    what: "update of the status",
    act: (c) => c.updateStatus(ingresses, { metadata: { name: "web", namespace: "shop" } }),
    sends:
      'PUT /apis/networking.k8s.io/v1/namespaces/shop/ingresses/web/status {"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"web","namespace":"shop"}}',
    type: "application/json",
  },
  {
    what: "strategic merge patch",
    act: (c) => c.patch(services, "web", "shop", { spec: null }, { type: "strategic" }),
    sends: 'PATCH /api/v1/namespaces/shop/services/web {"spec":null}',
    type: "application/strategic-merge-patch+json",
  },
  {
    what: "delete",
    act: (c) => c.delete(services, "web", "shop", { gracePeriodSeconds: 0 }),
    sends:
      'DELETE /api/v1/namespaces/shop/services/web {"apiVersion":"v1","kind":"DeleteOptions","gracePeriodSeconds":0}',
    type: "application/json",
  },
];

for (const { what, act, sends, type } of requests) {
  test(`request: ${what}`, async () => {
    const transport = scriptedTransport();
    const answer = act(createClient(transport));
    const pending = await transport.next();
    const { method, path, body = "", headers = {} } = pending.request;
    assert.equal(`${method} ${path} ${body.toString()}`.trim(), sends);
    assert.equal(headers["content-type"], type);
    pending.json(200, {});
    await answer;
  });
}

test("a list goes on until there is no continue token", async () => {
  const transport = scriptedTransport();
  const answer = createClient(transport).list(services);
  (await transport.next()).json(200, { items: [web], metadata: { continue: "t&1", resourceVersion: "5" } });
  const second = await transport.next();
  assert.match(second.request.path, /&continue=t%261$/);
  second.json(200, { items: [web], metadata: { resourceVersion: "5" } });
  assert.deepEqual(await answer, { items: [web, web], resourceVersion: "5" });
});

test("a Status becomes an ApiError with its reason and causes", async () => {
  const transport = scriptedTransport();
  const answer = createClient(transport).create(services, web);
  (await transport.next()).json(422, {
    kind: "Status",
    status: "Failure",
    reason: "Invalid",
    message: 'Service "web" is invalid: spec.ports: Required value',
    details: { causes: [{ reason: "FieldValueRequired", message: "Required value", field: "spec.ports" }] },
    code: 422,
  });
  await assert.rejects(answer, (error) => {
    assert.ok(error instanceof ApiError);
    assert.deepEqual([error.status, error.reason, error.code], [422, "Invalid", "Invalid"]);
    assert.deepEqual(error.causes, [
      { reason: "FieldValueRequired", message: "Required value", field: "spec.ports" },
    ]);
    assert.match(error.message, /spec\.ports: Required value/);
    return true;
  });
});

test("get gives undefined for what is not there, and throws for everything else", async () => {
  const transport = scriptedTransport();
  const client = createClient(transport);
  const missing = client.get(services, "web", "shop");
  (await transport.next()).json(404, { kind: "Status", reason: "NotFound", code: 404 });
  assert.equal(await missing, undefined);
  const forbidden = client.get(services, "web", "shop");
  (await transport.next()).json(403, {});
  await assert.rejects(forbidden, { code: "Forbidden" });
});

test("delete gives the object while it is ending, and undefined when it is gone", async () => {
  const transport = scriptedTransport();
  const client = createClient(transport);
  const ending = client.delete(services, "web", "shop");
  (await transport.next()).json(200, {
    metadata: { name: "web", deletionTimestamp: "2026-01-01T00:00:00Z" },
  });
  assert.equal((await ending)?.metadata?.name, "web");
  const gone = client.delete(services, "web", "shop");
  (await transport.next()).json(200, { kind: "Status", status: "Success" });
  assert.equal(await gone, undefined);
});

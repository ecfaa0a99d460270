import assert from "node:assert/strict";
import { it } from "node:test";
import { kinds } from "#kube";
import type { KindInfo } from "#kube";
import { createTestApi } from "./testing.ts";

const WIDGET: KindInfo = {
  group: "example.com",
  version: "v1",
  kind: "Widget",
  plural: "widgets",
  namespaced: true,
  singular: "widget",
  listKind: "WidgetList",
  shortNames: [],
  categories: [],
  subresources: [],
  schema: "example.com.v1.Widget",
};

it("a kind without a schema is stored as it is, listed, patched and discovered", async () => {
  const api = createTestApi({ kinds: [...kinds, WIDGET] });
  const path = "/apis/example.com/v1/namespaces/default/widgets";
  const spec = { anything: [{ goes: true }], empty: {} };
  const made = await api.call("POST", `${path}?fieldValidation=Strict`, { metadata: { name: "w" }, spec });
  assert.deepEqual([made.status, made.body["spec"]], [201, spec], made.text);
  const patched = await api.call("PATCH", `${path}/w`, { spec: { more: 1 } });
  assert.deepEqual(patched.body["spec"], { ...spec, more: 1 });
  const list = await api.call("GET", path);
  assert.equal((list.body["items"] as unknown[]).length, 1);
  const table = await api.call("GET", path, undefined, {
    accept: "application/json;as=Table;v=v1;g=meta.k8s.io",
  });
  assert.equal(table.body["kind"], "Table");
  assert.equal((await api.call("GET", "/apis/example.com/v1")).status, 200);
  assert.equal((await api.call("GET", "/openapi/v3")).status, 200);
});

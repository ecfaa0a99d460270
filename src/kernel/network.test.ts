import { test } from "node:test";
import assert from "node:assert/strict";
import { parseRoute } from "./network.ts";

test("a route through a gateway has device, gateway and source", () => {
  const text =
    '[{"dst":"10.244.1.2","gateway":"10.244.1.0","dev":"flannel.1","prefsrc":"10.244.0.0","uid":0}]';
  assert.deepEqual(parseRoute(text), { device: "flannel.1", via: "10.244.1.0", source: "10.244.0.0" });
});

test("a route on the link has only a device", () => {
  assert.deepEqual(parseRoute('[{"dst":"10.244.0.2","dev":"veth1"}]'), { device: "veth1" });
});

test("what is no route is undefined", () => {
  for (const text of ["", "[]", "[{}]", "[null]", '{"dev":1}', '[{"dev":7}]']) {
    assert.equal(parseRoute(text), undefined, text);
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { listAt, objectAt, textAt, type JsonObject } from "../json.ts";
import { kindNamed } from "../testing.ts";
import { goText, PatchError } from "./directives.ts";
import { mergePatch } from "./merge.ts";
import { strategicMergePatch } from "./strategic.ts";

test("a merge patch follows the examples of RFC 7396", () => {
  const table: readonly (readonly [unknown, unknown, unknown])[] = [
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [["a"], ["c"], ["c"]],
    [{ a: "foo" }, null, null],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ];
  for (const [target, patch, result] of table) assert.deepEqual(mergePatch(target, patch), result);
});

test("a merge patch changes neither argument and reaches no prototype", () => {
  const patch: unknown = JSON.parse('{"__proto__": {"polluted": true}, "a": {"b": 1}}');
  const target = { a: { c: 2 } };
  const result = mergePatch(target, patch);
  assert.deepEqual(target, { a: { c: 2 } });
  assert.equal(Object.getPrototypeOf(result), Object.prototype);
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
});

test("merging with an object is idempotent", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), fc.jsonValue({ maxDepth: 4 }), (target, patch) => {
      const once = mergePatch(target, patch);
      assert.deepEqual(mergePatch(once, patch), once);
    }),
  );
});

const deployment = kindNamed("Deployment");
const service = kindNamed("Service");
const live: JsonObject = {
  spec: {
    strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1 } },
    template: {
      spec: {
        containers: [
          {
            name: "c",
            image: "x:1",
            args: ["a", "b"],
            env: [
              { name: "A", value: "1" },
              { name: "B", value: "2" },
            ],
          },
          { name: "d", image: "y:1" },
        ],
        tolerations: [{ key: "a", operator: "Exists" }],
        imagePullSecrets: [{ name: "s1" }],
      },
    },
  },
  metadata: { finalizers: ["example.com/a", "example.com/b"], labels: { l: "v" } },
};

const podSpec = (patch: JsonObject): JsonObject =>
  objectAt(
    strategicMergePatch(deployment, live, { spec: { template: { spec: patch } } }),
    "spec",
    "template",
    "spec",
  );
const containers = (patch: readonly unknown[], order?: readonly unknown[]): string[] =>
  listAt(
    podSpec({ containers: patch, ...(order ? { "$setElementOrder/containers": order } : {}) }),
    "containers",
  ).map((item) => `${textAt(item, "name")}=${textAt(item, "image")}`);

test("containers merge by name, new ones come first", () => {
  assert.deepEqual(containers([{ name: "d", image: "y:2" }]), ["c=x:1", "d=y:2"]);
  assert.deepEqual(containers([{ name: "e", image: "z:1" }]), ["e=z:1", "c=x:1", "d=y:1"]);
});

test("an order given for the items puts new ones into their place", () => {
  assert.deepEqual(containers([{ name: "d", image: "y:3" }], [{ name: "d" }, { name: "c" }]), [
    "d=y:3",
    "c=x:1",
  ]);
  assert.deepEqual(containers([{ name: "n", image: "n:1" }], [{ name: "d" }, { name: "n" }, { name: "c" }]), [
    "d=y:1",
    "n=n:1",
    "c=x:1",
  ]);
});

test("items are deleted, and lists replaced, by directive", () => {
  assert.deepEqual(containers([{ name: "d", $patch: "delete" }]), ["c=x:1"]);
  assert.deepEqual(containers([{ name: "e", image: "z" }, { $patch: "replace" }]), ["e=z"]);
});

test("lists inside merged items merge too, lists without a key are replaced", () => {
  const [first] = listAt(
    podSpec({
      containers: [
        {
          name: "c",
          env: [
            { name: "B", value: "9" },
            { name: "C", value: "3" },
          ],
          args: ["z"],
        },
      ],
    }),
    "containers",
  );
  assert.deepEqual(first, {
    name: "c",
    image: "x:1",
    args: ["z"],
    env: [
      { name: "A", value: "1" },
      { name: "B", value: "9" },
      { name: "C", value: "3" },
    ],
  });
  assert.deepEqual(podSpec({ tolerations: [{ key: "b" }] })["tolerations"], [{ key: "b" }]);
  assert.deepEqual(podSpec({ imagePullSecrets: [{ name: "s2" }] })["imagePullSecrets"], [
    { name: "s2" },
    { name: "s1" },
  ]);
});

test("maps are deleted or replaced by directive, null removes a field", () => {
  const labels = (patch: JsonObject): unknown =>
    objectAt(strategicMergePatch(deployment, live, { metadata: { labels: patch } }), "metadata", "labels");
  assert.deepEqual(labels({ x: "y" }), { l: "v", x: "y" });
  assert.deepEqual(labels({ $patch: "delete" }), {});
  assert.deepEqual(labels({ $patch: "replace", x: "y" }), { x: "y" });
  assert.deepEqual(labels({ l: null }), {});
  assert.equal(podSpec({ affinity: { $patch: "delete" } })["affinity"], undefined);
});

test("fields that are not retained go", () => {
  const patched = strategicMergePatch(deployment, live, {
    spec: { strategy: { $retainKeys: ["type"], type: "Recreate" } },
  });
  assert.deepEqual(objectAt(patched, "spec", "strategy"), { type: "Recreate" });
});

test("plain lists are united, and lose what the patch deletes", () => {
  const finalizers = (patch: JsonObject): unknown =>
    objectAt(strategicMergePatch(deployment, live, { metadata: patch }), "metadata")["finalizers"];
  assert.deepEqual(finalizers({ finalizers: ["example.com/c"] }), [
    "example.com/c",
    "example.com/a",
    "example.com/b",
  ]);
  assert.deepEqual(finalizers({ "$deleteFromPrimitiveList/finalizers": ["example.com/a"] }), [
    "example.com/b",
  ]);
  assert.deepEqual(
    finalizers({
      finalizers: ["example.com/c"],
      "$setElementOrder/finalizers": ["example.com/a", "example.com/c", "example.com/b"],
    }),
    ["example.com/a", "example.com/c", "example.com/b"],
  );
});

test("ports of a Service merge by their number", () => {
  const target = {
    spec: {
      ports: [
        { name: "a", port: 80, protocol: "TCP" },
        { name: "b", port: 81 },
      ],
    },
  };
  const patched = strategicMergePatch(service, target, { spec: { ports: [{ port: 81, targetPort: 9 }] } });
  assert.deepEqual(patched.spec.ports, [
    { name: "a", port: 80, protocol: "TCP" },
    { name: "b", port: 81, targetPort: 9 },
  ]);
});

test("a patch that cannot be applied says why, in the words of the API", () => {
  const failure = (patch: JsonObject, message: string): void =>
    assert.throws(() => strategicMergePatch(deployment, live, patch), new PatchError(message));
  failure(
    { spec: { template: { spec: { containers: [{ image: "x" }] } } } },
    "map: map[image:x] does not contain declared merge key: name",
  );
  failure({ $patch: "frob", spec: {} }, "unknown patch type: frob in map: map[$patch:frob spec:map[]]");
});

test("a strategic patch changes neither argument", () => {
  const [before, patch] = [
    structuredClone(live),
    { spec: { template: { spec: { containers: [{ name: "c", image: "z" }] } } } },
  ];
  const copy = structuredClone(patch);
  strategicMergePatch(deployment, live, patch);
  assert.deepEqual(live, before);
  assert.deepEqual(patch, copy);
});

test("any patch either applies or is refused with a PatchError", () => {
  const directives = fc.constantFrom(
    "$patch",
    "$retainKeys",
    "$setElementOrder/containers",
    "containers",
    "name",
    "spec",
  );
  const { node } = fc.letrec((tie) => ({
    node: fc.oneof(
      { depthSize: "small" },
      fc.constantFrom("delete", "replace", "merge", null, 1, "c"),
      fc.array(tie("node"), { maxLength: 3 }),
      fc.dictionary(directives, tie("node"), { maxKeys: 3 }),
    ),
  }));
  fc.assert(
    fc.property(fc.dictionary(directives, node, { maxKeys: 3 }), (patch) => {
      try {
        strategicMergePatch(deployment, live, { spec: { template: { spec: patch } } });
      } catch (error) {
        assert.ok(error instanceof PatchError, String(error));
      }
    }),
  );
});

test("values stand in messages as Go prints them", () => {
  assert.equal(goText({ b: [1, null], a: { c: true } }), "map[a:map[c:true] b:[1 <nil>]]");
});

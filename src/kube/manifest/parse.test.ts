import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { InroadError } from "#lib/errors";
import { parseManifests } from "./parse.ts";

const service = `apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  ports:
    - port: 0
      targetPort: http
  selector: { app: web }
`;

test("documents are parted, empty ones skipped, each with its line", () => {
  const manifests = parseManifests(`${service}---\n# nothing here\n---\n${service}`, "a.yaml");
  assert.deepEqual(
    manifests.map(({ object, file, line }) => [object.kind, file, line]),
    [
      ["Service", "a.yaml", 1],
      ["Service", "a.yaml", 13],
    ],
  );
});

test("a field path leads to its place in the file, a missing field to the one around it", () => {
  const text = `${service}data:\n  tls.crt: x\n  a.b/c: "1"\nsame: &x\n  k: 1\nother: *x\n`;
  const [manifest] = parseManifests(text, "a.yaml");
  const table: readonly (readonly [string, string])[] = [
    ["spec.ports[0].port", "7:13"],
    ["spec.ports[0].targetPort", "8:19"],
    ["spec.ports[0]", "7:7"],
    ["spec.ports[3].port", "6:3"],
    ["spec.ports", "6:3"],
    ["spec.clusterIP", "5:1"],
    ["spec.Ports[0].port", "7:13"],
    ["metadata.name", "4:9"],
    ["metadata.labels", "3:1"],
    ["spec.selector", "9:3"],
    ["data[tls.crt]", "11:12"],
    ["data.a.b/c", "12:10"],
    ["other.k", "14:6"],
    ["bogus", "1:1"],
  ];
  for (const [field, place] of table) assert.equal(manifest?.positionOf(field), place, field);
});

test("lists are taken apart; paths start at the item", () => {
  const text = `kind: List\napiVersion: v1\nitems:\n  - kind: ConfigMap\n    metadata:\n      name: a\n  - kind: Secret\n`;
  const [first, second] = parseManifests(text, "l.yaml");
  assert.deepEqual(
    [first?.object.kind, first?.line, first?.positionOf("metadata.name")],
    ["ConfigMap", 4, "6:13"],
  );
  assert.deepEqual([second?.object.kind, second?.line], ["Secret", 7]);
});

test("JSON is read too, with tabs and on one line", () => {
  const [manifest] = parseManifests('{"kind": "ConfigMap",\n\t"data": {"a": "b"}}', "a.json");
  assert.deepEqual(manifest?.object, { kind: "ConfigMap", data: { a: "b" } });
  assert.equal(manifest?.positionOf("data.a"), "2:16");
});

test("scalars are those of YAML 1.1 as kubectl reads them", () => {
  const [manifest] = parseManifests(
    "a: yes\nb: 0644\nc: 12:30\nd: 2001-01-01\ne: ~\nf: '1'\ng: 1.50\nh: off\n",
    "a.yaml",
  );
  assert.deepEqual(manifest?.object, {
    a: true,
    b: 420,
    c: "12:30",
    d: "2001-01-01",
    e: null,
    f: "1",
    g: 1.5,
    h: false,
  });
});

test("merge keys and aliases are written out", () => {
  const [manifest] = parseManifests("base: &b {x: 1}\nuse:\n  <<: *b\n  k: 2\n", "a.yaml");
  assert.deepEqual(manifest?.object, { base: { x: 1 }, use: { x: 1, k: 2 } });
});

const refused = (text: string, code: string, where: RegExp): void =>
  assert.throws(
    () => parseManifests(text, "a.yaml"),
    (error) => error instanceof InroadError && error.code === code && where.test(error.where ?? ""),
    text.slice(0, 40),
  );

test("a syntax error says file, line and column", () => {
  refused("a: b\n c: d\n", "YamlSyntax", /^a\.yaml:1:4$/);
  refused("a: 1\na: 2\n", "YamlSyntax", /^a\.yaml:2:1$/);
  refused("a:\n\t- b\n", "YamlSyntax", /^a\.yaml:2:1$/);
  refused(`${service}---\nx: [1,\n`, "YamlSyntax", /^a\.yaml:1[23]:\d+$/);
  refused("a: *missing\n", "YamlSyntax", /^a\.yaml:1:1$/);
});

test("a document that is no object is refused", () => {
  refused("- 1\n", "InvalidManifest", /^a\.yaml:1:1$/);
  refused("just text\n", "InvalidManifest", /^a\.yaml:1:1$/);
  refused("kind: List\nitems: [1]\n", "InvalidManifest", /^a\.yaml:2:9$/);
});

test("depth, size and aliases are limited", () => {
  const bomb = Array.from({ length: 9 }, (_, i) =>
    i === 0
      ? "a0: &a0 [x,x,x,x,x,x,x,x,x,x]"
      : `a${i}: &a${i} [${Array.from({ length: 10 }, () => `*a${i - 1}`).join()}]`,
  );
  refused(bomb.join("\n"), "ManifestTooLarge", /^a\.yaml/);
  refused("a: &a\n  b: *a\n", "ManifestTooLarge", /^a\.yaml/);
  refused(`x: ${"{a: ".repeat(150)}1${"}".repeat(150)}`, "ManifestTooLarge", /^a\.yaml/);
  refused("[".repeat(100_000), "ManifestTooLarge", /^a\.yaml/);
  refused(`x: "${"a".repeat(17 * 1024 * 1024)}"`, "ManifestTooLarge", /^a\.yaml$/);
});

test("any text is read or refused with a place, and never pollutes a prototype", () => {
  const piece = fc.constantFrom(
    "a: ",
    "- ",
    "\n",
    "  ",
    "{",
    "}",
    "[",
    "]",
    "&x ",
    "*x",
    "---\n",
    "'",
    '"',
    "# ",
    "<<: ",
    "? ",
    "!!map ",
    "%YAML 1.2\n",
    "__proto__: ",
    "|\n",
    "1",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      try {
        for (const { object, positionOf } of parseManifests(pieces.join(""), "f")) {
          JSON.stringify(object);
          positionOf("a[0].a");
        }
      } catch (error) {
        assert.ok(error instanceof InroadError && error.where !== undefined, String(error));
      }
      assert.equal(Object.keys(Object.prototype).length, 0);
    }),
    { numRuns: 500 },
  );
});

import { test } from "node:test";
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { readContent, sameContent } from "./content.ts";
import { frameRules } from "./frame.ts";

const frame = [...frameRules].flatMap(([chain, count]): object[] =>
  count === 0 ? [{ chain: { name: chain } }] : Array.from({ length: count }, () => ({ rule: { chain } })),
);
const units = [
  {
    chains: [{ name: "svc", rules: ["x"] }],
    elements: new Map([["endpoints-tcp", new Map([["0", "x"]])]]),
  },
];
const complete = [...frame, { rule: { chain: "svc" } }, { map: { name: "endpoints-tcp", elem: [[0, "x"]] } }];
const same = (items: readonly unknown[]): boolean =>
  sameContent(readContent(JSON.stringify({ nftables: items })), units, []);

test("the table as it was made is intact", () => assert.ok(same(complete)));

test("any single thing that is missing is noticed", () => {
  for (const index of complete.keys()) {
    assert.ok(!same(complete.filter((_, i) => i !== index)), JSON.stringify(complete[index]));
  }
});

test("an element that is missing is noticed", () => {
  assert.ok(!same([...complete.slice(0, -1), { map: { name: "endpoints-tcp" } }]));
});

test("whatever nft may print is read without an error", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ maxLength: 200 }), fc.json()), (text) => void readContent(text)),
  );
  fc.assert(fc.property(fc.array(fc.jsonValue(), { maxLength: 5 }), (items) => void same(items)));
});

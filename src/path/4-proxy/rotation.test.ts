import { test } from "node:test";
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { backendKey, firstSlots, nextSlots } from "./rotation.ts";
import type { Backend } from "./rotation.ts";

const backends = (names: string): readonly Backend[] =>
  names.split("").map((name) => ({ address: `10.0.0.${name}`, port: 80 }));
const names = (slots: readonly Backend[]): string => slots.map((b) => b.address.at(-1)).join("");

const rows: readonly [what: string, slots: string, next: number, wanted: string, result: string][] = [
  ["nothing changes", "312", 1, "123", "312"],
  ["one leaves, one comes: it takes over the slot", "312", 1, "124", "412"],
  ["all are replaced", "123", 2, "456", "456"],
  ["one more: the order goes on where it stood, the new one queues last", "123", 1, "1234", "2314"],
  ["one less", "1234", 2, "123", "312"],
  ["the one in turn leaves: the one after it is next", "1234", 2, "124", "412"],
  ["one leaves, two come", "123", 1, "1345", "3145"],
  ["none is left", "12", 0, "", ""],
];
for (const [what, slots, next, wanted, result] of rows) {
  test(`next slots: ${what}`, () => {
    assert.equal(names(nextSlots({ slots: backends(slots), next }, backends(wanted))), result);
  });
}

test("an unchanged list keeps its very slots", () => {
  const slots = backends("231");
  assert.equal(nextSlots({ slots, next: 2 }, backends("123")), slots);
});

test("next slots are always the wanted endpoints, each once; as many as before keep their places", () => {
  const sets = fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { maxLength: 8 });
  fc.assert(
    fc.property(sets, sets, fc.nat(), (before, after, turn) => {
      const slots = backends(before.join(""));
      const wanted = backends(after.join(""));
      const next = nextSlots({ slots, next: slots.length === 0 ? 0 : turn % slots.length }, wanted);
      assert.deepEqual(next.map(backendKey).sort(), wanted.map(backendKey).sort());
      if (slots.length !== wanted.length) return;
      const staying = slots.filter((slot) => after.includes(Number(slot.address.at(-1))));
      for (const slot of staying) assert.equal(next.indexOf(slot), slots.indexOf(slot));
    }),
  );
});

test("nodes begin at different endpoints, and a node always at the same", () => {
  const nodes = Array.from({ length: 60 }, (_, i) => `node-${i}`);
  const firsts = nodes.map((node) => names(firstSlots(backends("123"), node, "default/api:http/TCP"))[0]);
  for (const name of ["1", "2", "3"]) assert.ok(firsts.filter((first) => first === name).length >= 10, name);
  assert.deepEqual(
    nodes.map((node) => names(firstSlots(backends("123"), node, "default/api:http/TCP"))[0]),
    firsts,
  );
});

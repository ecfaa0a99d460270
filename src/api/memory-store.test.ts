import assert from "node:assert/strict";
import { it } from "node:test";
import * as fc from "fast-check";
import { createMemoryStore } from "./memory-store.ts";
import { storeContract } from "./store.contract.ts";

storeContract("the memory store", (historySize) => createMemoryStore({ historySize }));

it("any run of changes can be read back at every revision", () => {
  const step = fc.record({ name: fc.constantFrom("a", "b", "c"), remove: fc.boolean(), data: fc.nat(9) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const store = createMemoryStore({ historySize: 100 });
      const states = new Map<number, string>();
      const show = (at?: number): string => JSON.stringify(store.list("x", undefined, at));
      for (const { name, remove, data } of steps) {
        const object = { metadata: { name }, data };
        const exists = store.get("x", "", name) !== undefined;
        if (remove) store.remove("x", "", name);
        else if (exists) store.update("x", object);
        else store.create("x", object);
        states.set(store.revision(), show());
      }
      for (const [revision, state] of states) assert.equal(show(revision), state);
    }),
    { numRuns: 100 },
  );
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { EndpointList } from "../plan.ts";
import { backendKey } from "../rotation.ts";
import { hashSlots, weightedTurns } from "../spread.ts";
import { createTurns, lineOf } from "./turns.ts";
import type { Turns } from "./turns.ts";

function listOf(count: number, more: Partial<EndpointList> = {}): EndpointList {
  const slots = Array.from({ length: count }, (_, i) => ({ address: `10.244.0.${i + 1}`, port: 8080 }));
  return { key: "default/api:http/TCP", family: "IPv4", protocol: "TCP", scheduler: "rr", slots, ...more };
}

/** The last octets of the endpoints that so many connections are sent to. */
function take(turns: Turns, count: number, client = "203.0.113.10", now = 0): string {
  return Array.from({ length: count }, () => turns.take(client, now)[0]?.address.split(".").at(-1)).join("");
}

describe("round robin", () => {
  test("each in turn", () => {
    assert.equal(take(createTurns(listOf(3)), 7), "1231231");
  });

  test("a connection that is refused is tried at the others in their order, and takes nobody's turn", () => {
    const turns = createTurns(listOf(3));
    take(turns, 1);
    const tried = turns.take("203.0.113.10", 0).map(({ address }) => address.at(-1));
    assert.deepEqual(tried, ["2", "3", "1"]);
    assert.equal(take(turns, 3), "312");
  });

  test("it goes on when endpoints are replaced, and begins anew where the plan says so", () => {
    const turns = createTurns(listOf(3));
    take(turns, 2);
    turns.change(listOf(3), false);
    assert.equal(turns.next(), 2);
    turns.change(listOf(4), true);
    assert.equal(turns.next(), 0);
  });
});

describe("weights", () => {
  const { slots } = listOf(3);
  const weights = new Map(slots.map((slot, i) => [backendKey(slot), i === 0 ? 5 : 1]));
  const list = listOf(3, { scheduler: "wrr", weights, slots: weightedTurns(slots, weights) });

  test("every round of turns gives each its share, without bursts", () => {
    assert.equal(take(createTurns(list), 14), "11213111121311");
  });

  test("where one with many turns refuses, the others are tried once each", () => {
    const turns = createTurns(list);
    take(turns, 2);
    assert.deepEqual(
      turns.take("203.0.113.10", 0).map(({ address }) => address.at(-1)),
      ["2", "1", "3"],
    );
  });

  test("the rule is told with its weights, each endpoint once", () => {
    const text = "wrr of 10.244.0.1:8080 (weight 5), 10.244.0.2:8080 (weight 1), 10.244.0.3:8080 (weight 1)";
    assert.equal(lineOf(list), `default/api:http/TCP: ${text}`);
  });
});

describe("fewest connections", () => {
  test("whoever has least is next; equals take turns", () => {
    const turns = createTurns(listOf(3, { scheduler: "lc" }));
    const open = (): (() => void) => {
      const [chosen] = turns.take("203.0.113.10", 0);
      assert.ok(chosen);
      return turns.opened("203.0.113.10", chosen, 0);
    };
    const ends = [open(), open(), open()];
    ends[1]?.();
    assert.equal(take(turns, 1), "2");
    const again = open();
    again();
    ends[0]?.();
    ends[2]?.();
    assert.equal(new Set(take(turns, 3)).size, 3);
  });
});

describe("source hash", () => {
  const clients = Array.from({ length: 200 }, (_, i) => `203.0.113.${i}`);
  const choices = (count: number): string[] => {
    const turns = createTurns(listOf(count, { scheduler: "sh", slots: hashSlots(listOf(count).slots) }));
    return clients.map((client) => take(turns, 1, client));
  };

  test("a client meets the same endpoint always, and clients spread", () => {
    assert.deepEqual(choices(4), choices(4));
    assert.equal(new Set(choices(4)).size, 4);
  });

  test("a new endpoint takes clients from the others, and no client moves between those", () => {
    const before = choices(3);
    for (const [i, choice] of choices(4).entries()) assert.ok(choice === before[i] || choice === "4");
  });
});

describe("affinity", () => {
  const list = listOf(3, { affinitySeconds: 10 });

  test("a client that comes again in time meets the same endpoint, and takes nobody's turn", () => {
    const turns = createTurns(list);
    const [first] = turns.take("a", 0);
    assert.ok(first);
    turns.opened("a", first, 0);
    assert.equal(turns.remembered("a", 9_999), first);
    assert.equal(turns.remembered("b", 9_999), undefined);
    assert.equal(take(turns, 2, "a", 9_999), "11");
    assert.equal(take(turns, 1, "b", 9_999), "2");
    assert.equal(take(turns, 1, "a", 10_000), "3");
  });

  test("each connection lengthens it; an endpoint that is gone is forgotten", () => {
    const turns = createTurns(list);
    const [first, second] = turns.take("a", 0);
    assert.ok(first && second);
    turns.opened("a", first, 0);
    turns.opened("a", first, 9_000);
    assert.equal(take(turns, 1, "a", 18_000), "1");
    turns.change({ ...list, slots: [second] }, true);
    assert.equal(take(turns, 1, "a", 18_000), "2");
  });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Snapshot } from "#model";
import { rcodes } from "#wire/dns";
import { createAccount } from "./account.ts";
import { cluster } from "./testing.ts";

const client = cluster.pods.get("default/client");
assert.ok(client !== undefined);
const snapshot: Snapshot = { ...cluster, podsByAddress: new Map([["10.244.1.3", client]]) };

test("the client with the most denials comes first, by the name of its pod, with advice", () => {
  const account = createAccount();
  for (let i = 0; i < 20; i++) {
    account.count("10.244.1.3", i < 15 ? rcodes.NXDOMAIN : rcodes.NOERROR);
    account.count("10.244.9.9", i < 5 ? rcodes.NXDOMAIN : rcodes.SERVFAIL);
  }
  const [first, second] = account.list(snapshot, 10);
  assert.deepEqual(
    [first?.pod, first?.queries, first?.nxdomain, first?.nxdomainShare],
    ["default/client", 20, 15, 0.75],
  );
  assert.match(first?.advice ?? "", /ndots/);
  assert.deepEqual(second, {
    address: "10.244.9.9",
    queries: 20,
    nxdomain: 5,
    servfail: 15,
    nxdomainShare: 0.25,
  });
  assert.equal(account.list(snapshot, 1).length, 1);
});

test("there are never more clients than allowed; the oldest is forgotten", () => {
  const account = createAccount(2);
  for (const address of ["a", "b", "a", "c"]) account.count(address, rcodes.NOERROR);
  assert.deepEqual(
    account.list(snapshot, 10).map(({ address }) => address),
    ["b", "c"],
  );
});

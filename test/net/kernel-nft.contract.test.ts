/** The library does with a script what the program does. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createNetNs, nft, run, startNftThread } from "#kernel";

startNftThread();

const script = `table ip own {
  map endpoints {
    typeof numgen inc mod 2 : ip daddr . tcp dport
    elements = { 1 : 10.0.0.1 . 80, 2 : 10.0.0.2 . 80 }
  }
  chain in {
    type nat hook prerouting priority dstnat; policy accept;
    ip daddr 10.96.0.1 tcp dport 80 counter dnat ip addr . port to numgen inc mod 2 offset 1 map @endpoints
  }
}
`;

test("a script has the same effect in this process as by the program", async () => {
  const [here, apart] = [createNetNs("here"), createNetNs("apart")];
  assert.equal(await nft(here, script), "");
  assert.equal(await nft(apart, script, { large: true }), "");
  const listing = "list ruleset\n";
  const rules = await nft(here, listing);
  assert.match(rules, /dnat/);
  assert.equal(rules, await nft(apart, listing, { large: true }));
  assert.equal((await run(here, "nft", ["list", "ruleset"])).stdout, rules);
});

test("a listing can be had as JSON", async () => {
  const node = createNetNs("node");
  await nft(node, "add table ip own\n");
  for (const large of [false, true]) {
    const { nftables }: { nftables: object[] } = JSON.parse(
      await nft(node, "list tables\n", { json: true, large }),
    );
    assert.ok(nftables.some((item) => "table" in item));
  }
});

test("a script with a mistake changes nothing, and the line is named", async () => {
  const node = createNetNs("node");
  const wrong = "add table ip own\nadd rule ip own nowhere accept\n";
  await assert.rejects(nft(node, wrong), /:2:17-23: Error: Could not process rule/);
  assert.equal(await nft(node, "list tables\n"), "");
});

/** The library does with a script what the program does. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createNetNs, nft, run, startNftThread } from "#kernel";
import type { NetNs } from "#kernel";
import { nftByNetlink } from "../../src/kernel/nft-netlink.ts";

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

const frame = `add table ip own
add map ip own services { type ipv4_addr . inet_proto . inet_service : verdict; }
add set ip own hairpin { type ipv4_addr . ipv4_addr; }
add map ip own endpoints { typeof numgen inc mod 2 : ip daddr . tcp dport; }
add table ip6 own
add map ip6 own services { type ipv6_addr . inet_proto . inet_service : verdict; }
add map ip6 own endpoints { typeof numgen inc mod 2 : ip6 daddr . udp dport; }
`;

/** Scripts that are told the kernel without nft, one after the other. */
const ownWords: readonly string[] = [
  `add chain ip own svc/default/api/tcp/http
flush chain ip own svc/default/api/tcp/http
add element ip own endpoints { 300 : 10.244.0.2 . 8080, 301 : 10.244.0.3 . 65535 }
add element ip own services { 10.96.0.7 . tcp . 80 : goto svc/default/api/tcp/http, 10.96.0.8 . udp . 53 : drop }
add element ip own hairpin { 10.244.0.2 . 10.244.0.2 }
add rule ip own svc/default/api/tcp/http meta l4proto tcp counter dnat ip addr . port to numgen inc mod 2 offset 300 map @endpoints
`,
  `add chain ip6 own svc
add element ip6 own endpoints { 4096 : fd00:10:244::2 . 53 }
add element ip6 own services { fd00:10:96::7 . udp . 53 : goto svc, fd00:10:96::8 . sctp . 1 : drop }
add rule ip6 own svc meta l4proto udp counter dnat ip6 addr . port to numgen inc mod 1 offset 4096 map @endpoints
`,
  `delete element ip own endpoints { 301 : 10.244.0.3 . 65535 }
add element ip own endpoints { 301 : 10.244.1.9 . 80 }
`,
  `delete element ip own services { 10.96.0.7 . tcp . 80 : goto svc/default/api/tcp/http }
flush chain ip own svc/default/api/tcp/http
`,
  "delete chain ip own svc/default/api/tcp/http\n",
];

test("what is told the kernel without nft is what nft would have told it", async () => {
  const [here, apart] = [createNetNs("here"), createNetNs("apart")];
  const rules = async (ns: NetNs): Promise<string> => (await run(ns, "nft", ["list", "ruleset"])).stdout;
  for (const ns of [here, apart]) await nft(ns, frame);
  for (const words of ownWords) {
    assert.equal(nftByNetlink({ ns: here, script: words, json: false }), "");
    const { code, stderr } = await run(apart, "nft", ["-f", "-"], words);
    assert.equal(code, 0, stderr);
    assert.equal(await rules(here), await rules(apart));
  }
});

test("a script that the kernel refuses changes nothing", async () => {
  const node = createNetNs("node");
  await nft(node, frame);
  const before = (await run(node, "nft", ["list", "ruleset"])).stdout;
  const wrong = "add element ip own hairpin { 10.0.0.1 . 10.0.0.1 }\ndelete element ip own endpoints { 7 }\n";
  assert.equal(nftByNetlink({ ns: node, script: wrong, json: false }), undefined);
  await assert.rejects(nft(node, wrong), /:2:\d+-\d+: Error: Could not process rule: No such file/);
  assert.equal((await run(node, "nft", ["list", "ruleset"])).stdout, before);
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

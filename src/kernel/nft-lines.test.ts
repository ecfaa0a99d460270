import { test } from "node:test";
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { encodeNftScript } from "./nft-lines.ts";

// That the bytes mean what nft would have said is shown with the kernel: test/net/kernel-nft.contract.test.ts.

const onlyNftKnows: readonly string[] = [
  "",
  "list ruleset\n",
  "add table ip own\n",
  "add chain ip own c { type nat hook output priority -100; }\n",
  "add chain inet own c\n",
  "add rule ip own c accept\n",
  "add rule ip own c meta l4proto tcp counter dnat ip6 addr . port to numgen inc mod 2 offset 0 map @m\n",
  "add element ip own networks { 10.244.0.0/16 }\n",
  "add element ip own ports { 10.0.0.1 . http }\n",
  "add element ip own ports { 10.0.0.1 . 65536 }\n",
  "add element ip own m { 10.0.0.1 . tcp . 80 : goto }\n",
  "add element ip own m { 1 : 10.0.0.1 . 80 : drop }\n",
  "add element ip own m { 10.0.0.1 timeout 5s }\n",
  "add chain ip own good\nadd set ip own s { type ipv4_addr; }\n",
];

for (const script of onlyNftKnows) {
  test(`left to nft: ${JSON.stringify(script)}`, () => assert.equal(encodeNftScript(script), undefined));
}

test("many elements become several messages, none longer than an attribute may be", () => {
  const elements = Array.from({ length: 3000 }, (_, i) => `${i} : 10.0.${i >> 8}.${i & 255} . 80`);
  const batch = encodeNftScript(`add element ip own endpoints { ${elements.join(", ")} }\n`);
  assert.ok(batch);
  const lengths: number[] = [];
  for (let at = 0; at < batch.length; at += lengths.at(-1) ?? 0) lengths.push(batch.readUInt32LE(at));
  assert.equal(lengths.length, 2 + 8);
  assert.ok(Math.max(...lengths) < 65_536);
});

test("no script makes the encoder throw", () => {
  const word = fc.constantFrom(
    "add",
    "element",
    "chain",
    "rule",
    "ip",
    "ip6",
    "t",
    "{",
    "}",
    ":",
    ".",
    ",",
    "1",
    "goto",
    "fd00::1",
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 20 }), (words) => {
      encodeNftScript(words.join(" "));
    }),
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { inNetwork, numberToIPv4 } from "#lib/ip";
import type { PolicyBlock } from "#model";
import { blockRanges, merged } from "./ranges.ts";

const block = (cidr: string, ...except: string[]): PolicyBlock => ({ cidr, except });

test("a block without exceptions is one range, a single address is itself", () => {
  assert.deepEqual(blockRanges([block("10.0.0.0/8")], "IPv4"), ["10.0.0.0-10.255.255.255"]);
  assert.deepEqual(blockRanges([block("192.0.2.7/32")], "IPv4"), ["192.0.2.7"]);
  assert.deepEqual(blockRanges([block("fd00::/126")], "IPv6"), ["fd00::-fd00::3"]);
});

test("exceptions leave what is before, between and after them", () => {
  const given = block("10.0.0.0/24", "10.0.0.0/26", "10.0.0.128/32", "10.0.0.192/26");
  assert.deepEqual(blockRanges([given], "IPv4"), ["10.0.0.64-10.0.0.127", "10.0.0.129-10.0.0.191"]);
});

test("an exception that takes everything leaves nothing", () => {
  assert.deepEqual(blockRanges([block("10.0.0.0/24", "10.0.0.0/24")], "IPv4"), []);
});

test("blocks that overlap or touch are joined, whatever one of them excepts", () => {
  const blocks = [block("10.0.0.0/24", "10.0.0.128/25"), block("10.0.1.0/24"), block("10.0.0.128/25")];
  assert.deepEqual(blockRanges(blocks, "IPv4"), ["10.0.0.0-10.0.1.255"]);
});

test("everything is everything, in both families, and families do not mix", () => {
  const blocks = [block("0.0.0.0/0"), block("::/0")];
  assert.deepEqual(blockRanges(blocks, "IPv4"), ["0.0.0.0-255.255.255.255"]);
  assert.deepEqual(blockRanges(blocks, "IPv6"), ["::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]);
});

test("ports join as addresses do", () => {
  const port = (first: number, last = first) => ({ first: BigInt(first), last: BigInt(last) });
  assert.deepEqual(merged([port(81, 90), port(80), port(85, 86), port(100)]), [port(80, 90), port(100)]);
});

test("the ranges hold exactly the addresses that some block holds and does not except", () => {
  const network = fc.tuple(fc.nat(255), fc.integer({ min: 24, max: 32 })).map(([last, prefix]) => {
    const size = 2 ** (32 - prefix);
    return `192.0.2.${last - (last % size)}/${prefix}`;
  });
  const blocks = fc.array(fc.record({ cidr: network, except: fc.array(network, { maxLength: 3 }) }), {
    maxLength: 4,
  });
  fc.assert(
    fc.property(blocks, (given) => {
      const ranges = blockRanges(given, "IPv4").map((text) => text.split("-"));
      for (let last = 0; last < 256; last++) {
        const address = numberToIPv4(0xc0000200 + last);
        const wanted = given.some(
          ({ cidr, except }) => inNetwork(address, cidr) && !except.some((part) => inNetwork(address, part)),
        );
        const number = (text = ""): number => Number(text.split(".")[3]);
        const got = ranges.some(([from, to = from]) => number(from) <= last && last <= number(to));
        assert.equal(got, wanted, address);
      }
    }),
  );
});

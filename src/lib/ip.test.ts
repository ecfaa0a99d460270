import { test } from "node:test";
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { addressAt, canonicalAddress, isWithin, literalAddress } from "./ip.ts";

const places: readonly [network: string, offset: number, address: string][] = [
  ["10.244.0.0/24", 0, "10.244.0.0"],
  ["10.244.0.0/24", 2, "10.244.0.2"],
  ["10.244.0.9/16", 258, "10.244.1.2"],
  ["fd00:10:244:1::/64", 0, "fd00:10:244:1::"],
  ["fd00:10:244:1::/64", 17, "fd00:10:244:1::11"],
  ["fd00:10:244:1::/64", 65_536, "fd00:10:244:1::1:0"],
];
for (const [network, offset, address] of places) {
  test(`place ${offset} of ${network} is ${address}`, () =>
    assert.equal(addressAt(network, offset), address));
}

test("an address is within the network it was counted from, and never within one of the other family", () => {
  fc.assert(
    fc.property(fc.constantFrom("10.0.0.0/8", "fd00:10:244::/56"), fc.nat(0xffffff), (network, offset) => {
      const address = addressAt(network, offset);
      const other = network.includes(":") ? "0.0.0.0/0" : "::/0";
      return canonicalAddress(address) === address && isWithin(address, network) && !isWithin(address, other);
    }),
  );
});

test("a URL's host is an address with brackets for IPv6, or a name", () => {
  const hosts = ["10.0.0.1", "[fd00:0::1]", "[10.0.0.1]", "localhost", "[]"];
  assert.deepEqual(hosts.map(literalAddress), ["10.0.0.1", "fd00::1", undefined, undefined, undefined]);
});

test("what is no address or no network contains nothing and lies nowhere", () => {
  assert.equal(isWithin("10.0.0.1", "10.0.0.0"), false);
  assert.equal(isWithin("here", "10.0.0.0/8"), false);
  assert.equal(isWithin("fd00::1", ""), false);
});

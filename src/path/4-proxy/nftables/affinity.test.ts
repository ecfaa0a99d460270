import { test } from "node:test";
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { readAffinity } from "./affinity.ts";

test("clients and the addresses they met are read from nft's listing, of both families", () => {
  const listing = `table ip inroad-proxy {
	map affinity/default/api/tcp/http/8080 {
		type ipv4_addr : ipv4_addr
		size 65535
		flags dynamic,timeout
		elements = { 198.51.100.20 timeout 3h expires 2h59m59s996ms : 10.244.0.2,
			     2001:db8::7 timeout 1m40s expires 1s : fd00:10:244::2 }
	}
}
`;
  assert.deepEqual(
    [...readAffinity(listing)],
    [
      ["198.51.100.20", "10.244.0.2"],
      ["2001:db8::7", "fd00:10:244::2"],
    ],
  );
});

test("an empty map, and whatever else is printed, has no clients", () => {
  assert.equal(readAffinity("map a {\n\ttype ipv4_addr : ipv4_addr\n}").size, 0);
  fc.assert(fc.property(fc.string(), (text) => void readAffinity(text)));
});

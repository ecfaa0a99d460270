import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalCidr } from "#lib/ip";
import { outsideAddresses } from "#path/load-balancer";
import { networkSettings } from "#path/node";
import { defaultPools, otherNetworks, poolNetworks, poolProblem } from "./pools.ts";

const families = ["IPv4", "IPv6"] as const;
const pool = (name: string, ...addresses: string[]) => ({ name, addresses, autoAssign: true });

/** What is wrong with a pool of these addresses beside one that is right. */
const problemOf = (...addresses: string[]) =>
  poolProblem([pool("default", "203.0.113.128/25"), pool("more", ...addresses)], families);

test("the default pools can be used, and are the networks that are routed", () => {
  assert.equal(poolProblem(defaultPools(families), families), undefined);
  assert.deepEqual(poolNetworks(defaultPools(families)), ["203.0.113.128/25", "2001:db8:203:113:8000::/65"]);
  assert.deepEqual(poolNetworks([pool("a", "192.0.2.6-192.0.2.8"), pool("b", "198.51.100.0/24")]), [
    "192.0.2.6/31",
    "192.0.2.8/32",
    "198.51.100.0/24",
  ]);
});

const problems: readonly [addresses: readonly string[], problem: RegExp][] = [
  [
    ["198.51.100.1/24"],
    /^pools\[1\]\.addresses\[0\]: 198\.51\.100\.1\/24 is no network: an address whose bits/,
  ],
  [["198.51.100.0/24", "here"], /^pools\[1\]\.addresses\[1\]: here is no range: first and last address/],
  [["198.51.100.9-198.51.100.1"], /is no range/],
  [["203.0.113.200-203.0.113.210"], /overlaps 203\.0\.113\.128\/25 of pool default$/],
  [["192.0.2.0/24", "192.0.2.255-192.0.3.1"], /overlaps 192\.0\.2\.0\/24 of pool more$/],
  [["172.30.0.128/25"], /overlaps 172\.30\.0\.0\/24 of the nodes$/],
  [["10.0.0.0/8"], /overlaps 10\.244\.0\.0\/16 of the pods$/],
  [["10.96.7.0/24"], /overlaps 10\.96\.0\.0\/16 of the Services$/],
  [["fd00:10:96::/120"], /of the Services$/],
  [["203.0.113.100-203.0.113.110"], /of the clients outside$/],
  [["127.0.0.0/8"], /of loopback$/],
  [["::/0"], /of the nodes$/],
];
for (const [addresses, problem] of problems) {
  test(`a pool of ${addresses.join(" and ")} is refused`, () =>
    assert.match(problemOf(...addresses) ?? "", problem));
}

test("a pool of a family that the cluster lacks, a name given twice, and no address for the ingress are refused", () => {
  assert.equal(
    poolProblem([pool("a", "203.0.113.128/25", "2001:db8::/64")], ["IPv4"]),
    "pools[0].addresses[1]: 2001:db8::/64 is of IPv6, and the cluster is not: start it with --ip-families dual",
  );
  const twice = [pool("a", "203.0.113.128/26"), pool("a", "203.0.113.192/26")];
  assert.equal(poolProblem(twice, families), "pools[1].name: a is the name of pools[0], too");
  const none = "pools: one must have IPv4 addresses and autoAssign, for the ingress";
  assert.equal(poolProblem([pool("a", "2001:db8::/64")], families), none);
  assert.equal(poolProblem([{ ...pool("a", "192.0.2.0/24"), autoAssign: false }], families), none);
  assert.equal(poolProblem([], families), none);
});

test("the networks that pools must leave alone are those of the nodes, the pods and the world outside", () => {
  const known = otherNetworks.map(([network]) => network);
  const { podNetworks, underlay } = networkSettings(families, "vxlan");
  const outside = families.map((family) => outsideAddresses[family].gateway);
  for (const text of [...podNetworks, ...underlay.addresses, ...outside]) {
    const network = canonicalCidr(text) ?? "";
    assert.ok(known.includes(network), network);
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { domainName, endpointsOf, hostSearch, httpListen, seconds, stubDomain } from "./dns-options.ts";

const refused = { code: "InvalidOption" };

test("a stub domain is a domain and its resolvers", () => {
  assert.deepEqual(stubDomain("Corp.Example.=192.0.2.1,[2001:db8::1]:5353"), {
    domain: "corp.example",
    servers: [
      { address: "192.0.2.1", port: 53 },
      { address: "2001:db8::1", port: 5353 },
    ],
  });
  for (const text of [
    "corp.example",
    "=192.0.2.1",
    "corp.example=",
    "a=b=192.0.2.1",
    "a=b,192.0.2.1",
    "a..b=192.0.2.1",
  ])
    assert.throws(() => stubDomain(text), refused, text);
});

test("values out of their bounds are refused", () => {
  const ttl = (text: string): number => seconds(text, "--ttl", [0, 3600]);
  assert.deepEqual([ttl("0"), ttl("3600")], [0, 3600]);
  for (const text of ["-1", "3601", "1.5", "", "5s"]) assert.throws(() => ttl(text), refused, text);
  for (const text of ["", "-a", "a b", "x".repeat(64), "*.a"])
    assert.throws(() => domainName(text, "--zone"), refused, text);
});

test("an upstream is an address; what is none is named", () => {
  assert.deepEqual(endpointsOf(["192.0.2.1"], "--upstream"), [{ address: "192.0.2.1", port: 53 }]);
  assert.throws(() => endpointsOf(["dns.example.com"], "--upstream"), {
    ...refused,
    where: "--upstream",
    message: '"dns.example.com" is not an address',
  });
});

test("an HTTP address has a port, or there is none", () => {
  assert.deepEqual(httpListen("0.0.0.0:9153", "--metrics"), { host: "0.0.0.0", port: 9153 });
  assert.deepEqual(httpListen("[::]:9153", "--metrics"), { host: "::", port: 9153 });
  assert.equal(httpListen("none", "--metrics"), undefined);
  for (const text of ["0.0.0.0", "localhost:1", ":9153"])
    assert.throws(() => httpListen(text, "--metrics"), refused, text);
});

test("the host's own search domains are those that the cluster does not have", () => {
  const text =
    "# x\ndomain ignored.example\nsearch corp.example default.svc.Cluster.Local svc.cluster.local cluster.local lab.\n";
  assert.deepEqual(hostSearch(text, "cluster.local"), ["corp.example", "lab."]);
  assert.deepEqual(hostSearch("nameserver 192.0.2.1\n", "cluster.local"), []);
});

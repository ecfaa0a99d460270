import assert from "node:assert/strict";
import { test } from "node:test";
import { InroadError } from "#lib/errors";
import { exampleSnapshot } from "../../test/support/snapshot.ts";
import { startOf } from "./start.ts";

const snapshot = exampleSnapshot();
const request = { method: "GET", headers: {}, from: "internet" };

test("a name is asked of the public DNS by the internet, of the cluster DNS by a pod", () => {
  const url = "https://api.hadywafa.com/x?y=1";
  const outside = startOf(snapshot, { ...request, url }, {});
  assert.deepEqual(outside.place, { at: "public-dns" });
  assert.deepEqual(outside.flow, {
    protocol: "TCP",
    source: { address: "203.0.113.10" },
    destination: { name: "api.hadywafa.com", port: 443 },
    tls: { serverName: "api.hadywafa.com" },
    http: { method: "GET", host: "api.hadywafa.com", path: "/x?y=1", headers: {} },
  });
  const inside = startOf(
    snapshot,
    { ...request, url: "http://api-service:8080/", from: "pod/default/api-1" },
    {},
  );
  assert.deepEqual(inside.place, { at: "cluster-dns", pod: { namespace: "default", name: "api-1" } });
  assert.equal(inside.flow.source.address, "10.244.0.5");
  assert.equal(inside.flow.http?.host, "api-service:8080");
  assert.equal(inside.flow.destination.port, 8080);
});

test("an address needs no DNS, and a Host header says the host", () => {
  const given = { ...request, url: "https://10.96.1.1:8443/", headers: { Host: "a.com" } };
  const node = startOf(snapshot, { ...given, from: "node/node-b" }, { sourcePort: 5 });
  assert.deepEqual(node.place, { at: "proxy", node: "node-b", from: "node" });
  assert.deepEqual(node.flow.destination, { address: "10.96.1.1", port: 8443 });
  assert.deepEqual(node.flow.source, { address: "172.30.0.12", port: 5 });
  assert.equal(node.flow.http?.host, "a.com");
  assert.equal(node.flow.tls?.serverName, "");
  assert.equal(startOf(snapshot, given, {}).place.at, "edge");
  const pod = startOf(snapshot, { ...given, from: "pod/default/api-3" }, {});
  assert.deepEqual(pod.place, { at: "proxy", node: "node-b", from: "pod" });
});

test("an IPv6 address in a URL is taken without its brackets, and the source is of its family", () => {
  const start = startOf(snapshot, { ...request, url: "http://[2001:db8:203:113::80]:8080/" }, {});
  assert.equal(start.place.at, "edge");
  assert.deepEqual(start.flow.destination, { address: "2001:db8:203:113::80", port: 8080 });
  assert.deepEqual(start.flow.source, { address: "2001:db8:203:113::10" });
  assert.equal(start.flow.http?.host, "[2001:db8:203:113::80]:8080");
});

test("the internet sends by IPv6 to a name that has no other address", () => {
  const publicNames = new Map([["six.example", { addresses: ["2001:db8:203:113:8000::1"] }]]);
  const start = startOf({ ...snapshot, publicNames }, { ...request, url: "http://six.example/" }, {});
  assert.equal(start.place.at, "public-dns");
  assert.deepEqual(start.flow.source, { address: "2001:db8:203:113::10" });
});

test("a node sends to pods of another one from its tunnel end, or from its own address with plain routes", () => {
  const from = (overlay: "vxlan" | "host-gw"): string => {
    const nodes = [...snapshot.nodes].map(([name, node]) => [name, { ...node, overlay }] as const);
    const to = { ...request, url: "http://10.244.1.2/", from: "node/node-a" };
    return startOf({ ...snapshot, nodes: new Map(nodes) }, to, {}).flow.source.address;
  };
  assert.deepEqual([from("vxlan"), from("host-gw")], ["10.244.0.0", "172.30.0.11"]);
});

/** Requests that cannot begin, and the code that says so. */
const refused: readonly (readonly [url: string, from: string, code: string])[] = [
  ["ftp://a/", "internet", "BadUrl"],
  ["nonsense", "internet", "BadUrl"],
  ["http://a/", "pod/default/nobody", "UnknownPlace"],
  ["http://a/", "node/nowhere", "UnknownPlace"],
  ["http://a/", "moon", "UnknownPlace"],
  ["http://a/", "node/node-a", "UnknownPlace"],
];

test("unknown places and bad URLs are refused with what to do", () => {
  for (const [url, from, code] of refused) {
    assert.throws(
      () => startOf(snapshot, { ...request, url, from }, {}),
      (error) => error instanceof InroadError && error.code === code && error.mend !== undefined,
      `${url} from ${from}`,
    );
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeObject } from "#kube";
import { exampleSnapshot, ingress, rule, service } from "../../test/support/snapshot.ts";
import { followPublicName, publicName } from "./public-names.ts";
import type { PublicName, Snapshot } from "./types.ts";

const rules = [
  rule("Foo.com", "/", "api-service", 80),
  rule("*.bar.com", "/", "x", 80),
  rule("", "/", "x", 80),
];

type Address = { readonly ip: string } | { readonly hostname: string };
const status = (...entries: readonly Address[]) => ({ loadBalancer: { ingress: entries } });

function withAddress(
  name: string,
  addresses: readonly Address[],
  annotations: Readonly<Record<string, string>> = {},
  spec: object = {},
): KubeObject {
  const object = ingress(name, { ingressClassName: "another", rules, ...spec }, { annotations });
  return { ...object, status: status(...addresses) };
}

const names = (...ingresses: readonly KubeObject[]): Record<string, PublicName> =>
  Object.fromEntries(exampleSnapshot({ ingresses }).publicNames ?? []);

test("every host of any Ingress is a public name with all its addresses, IPv4 first", () => {
  const found = names(
    withAddress("a", [{ ip: "203.0.113.9" }]),
    withAddress("b", [{ ip: "203.0.113.129" }, { ip: "2001:DB8:0::1" }]),
    withAddress("c", [{ ip: "203.0.113.9" }]),
  );
  const addresses = ["203.0.113.9", "203.0.113.129", "2001:db8::1"];
  assert.deepEqual(found, { "*.bar.com": { addresses }, "foo.com": { addresses } });
});

test("a host without an address is taken all the same, and so are the hosts of certificates", () => {
  const tls = { tls: [{ hosts: ["tls.com"] }] };
  const found = names(withAddress("a", [], {}, tls), ingress("broken", { rules: 7 }));
  for (const host of ["foo.com", "tls.com"]) assert.deepEqual(found[host], { addresses: [] });
});

test("a load balancer that is known by name makes an alias, unless there are addresses", () => {
  const byName = [{ hostname: "LB.cloud.example." }];
  assert.deepEqual(names(withAddress("a", byName))["foo.com"], { addresses: [], alias: "lb.cloud.example" });
  const both = names(withAddress("a", byName), withAddress("b", [{ ip: "203.0.113.9" }]));
  assert.deepEqual(both["foo.com"], { addresses: ["203.0.113.9"] });
});

for (const prefix of ["external-dns.alpha.kubernetes.io/", "external-dns.kubernetes.io/"]) {
  test(`${prefix}hostname, target and ttl`, () => {
    const found = names(
      withAddress("a", [{ ip: "203.0.113.9" }], {
        [`${prefix}hostname`]: "a.example.com, B.example.com.",
        [`${prefix}target`]: "198.51.100.7",
        [`${prefix}ttl`]: "1m30s",
      }),
    );
    const wanted = { addresses: ["198.51.100.7"], ttl: 90 };
    for (const host of ["foo.com", "a.example.com", "b.example.com"]) assert.deepEqual(found[host], wanted);
    const alias = names(withAddress("a", [], { [`${prefix}target`]: "www.example.net" }));
    assert.deepEqual(alias["foo.com"], { addresses: [], alias: "www.example.net" });
  });
}

test("of two prefixes the newer one counts, and the lowest TTL of several objects", () => {
  const both = {
    "external-dns.alpha.kubernetes.io/ttl": "7",
    "external-dns.kubernetes.io/ttl": "60",
  };
  assert.equal(names(withAddress("a", [], both))["foo.com"]?.ttl, 60);
  const lower = { "external-dns.kubernetes.io/ttl": "30" };
  assert.equal(names(withAddress("a", [], both), withAddress("b", [], lower))["foo.com"]?.ttl, 30);
});

test("which hosts of an Ingress are published can be chosen", () => {
  const prefix = "external-dns.kubernetes.io/";
  const published = (source: string): string[] =>
    Object.keys(
      names(
        withAddress("a", [], {
          [`${prefix}hostname`]: "a.example.com",
          [`${prefix}ingress-hostname-source`]: source,
        }),
      ),
    );
  assert.deepEqual(published("defined-hosts-only"), ["*.bar.com", "foo.com"]);
  // Its rules' hosts are the cluster's own in any case: pods must not look for them elsewhere.
  assert.deepEqual(published("annotation-only"), ["*.bar.com", "a.example.com", "foo.com"]);
});

test("annotations for another controller are not followed", () => {
  const prefix = "external-dns.kubernetes.io/";
  const found = names(
    withAddress("a", [{ ip: "203.0.113.9" }], {
      [`${prefix}controller`]: "other",
      [`${prefix}hostname`]: "a.example.com",
      [`${prefix}target`]: "198.51.100.7",
    }),
  );
  assert.equal(found["a.example.com"], undefined);
  assert.deepEqual(found["foo.com"], { addresses: ["203.0.113.9"] });
});

const announcing = (type: string, annotations: Readonly<Record<string, string>>): Snapshot => {
  const object = service(
    "s",
    { app: "api" },
    { clusterIP: "10.96.1.2", more: { type }, status: status({ ip: "203.0.113.140" }) },
  );
  const services = [{ ...object, metadata: { ...object.metadata, annotations } }];
  return exampleSnapshot({ services, ingresses: [] });
};
const codes = ({ findings }: Snapshot): string[] =>
  findings.map(({ code, message }) => `${code}: ${message}`);

test("a LoadBalancer Service announces names by external-dns's annotation", () => {
  const annotations = { "external-dns.alpha.kubernetes.io/hostname": "a.example.com, B.example.com." };
  const addresses = ["203.0.113.140"];
  assert.deepEqual(
    [...(announcing("LoadBalancer", annotations).publicNames ?? [])],
    [
      ["a.example.com", { addresses }],
      ["b.example.com", { addresses }],
    ],
  );
  const other = announcing("ClusterIP", annotations);
  assert.equal(other.publicNames?.size, 0);
  assert.deepEqual(codes(other), [
    "NameNotAnnounced: a.example.com, B.example.com.: names of a Service of type ClusterIP are not announced",
  ]);
});

test("values that cannot be used are left out and reported, and so is what is not implemented", () => {
  const key = (name: string): string => `external-dns.alpha.kubernetes.io/${name}`;
  const snapshot = announcing("LoadBalancer", {
    [key("hostname")]: "good.example.com, bad_-.example.com, 192.0.2.1, a..b",
    [key("target")]: "not a target",
    [key("ttl")]: "soon",
    [key("ingress-hostname-source")]: "whatever",
    [key("set-identifier")]: "blue",
  });
  assert.deepEqual(Object.fromEntries(snapshot.publicNames ?? []), {
    "good.example.com": { addresses: ["203.0.113.140"] },
  });
  const messages = codes(snapshot).filter((line) => line.startsWith("ExternalDnsAnnotation"));
  assert.equal(messages.length, 7);
  for (const part of [
    '"192.0.2.1" is no host name',
    '"not a target"',
    '"soon"',
    '"whatever"',
    "set-identifier",
  ]) {
    assert.ok(
      messages.some((line) => line.includes(part)),
      `${part} in ${messages.join("; ")}`,
    );
  }
});

const chain: Pick<Snapshot, "publicNames"> = {
  publicNames: new Map<string, PublicName>([
    ["a.example", { addresses: [], alias: "b.example", ttl: 9 }],
    ["b.example", { addresses: ["203.0.113.1"] }],
    ["out.example", { addresses: [], alias: "elsewhere.test" }],
    ["x.example", { addresses: [], alias: "y.example" }],
    ["y.example", { addresses: [], alias: "x.example" }],
    ["*.wild.example", { addresses: ["203.0.113.2"] }],
  ]),
};

test("aliases are followed to the last public name; out of the cluster or in a circle there is none", () => {
  assert.deepEqual(followPublicName(chain, "A.example."), {
    aliases: [{ name: "a.example", target: "b.example", ttl: 9 }],
    end: { addresses: ["203.0.113.1"] },
  });
  assert.equal(followPublicName(chain, "out.example").end, undefined);
  assert.equal(followPublicName(chain, "x.example").end, undefined);
  assert.deepEqual(followPublicName(chain, "none.example"), { aliases: [], end: undefined });
});

test("a wildcard stands for one label", () => {
  assert.deepEqual(publicName(chain, "q.wild.example.")?.addresses, ["203.0.113.2"]);
  assert.equal(publicName(chain, "wild.example"), undefined);
  assert.equal(publicName(chain, "p.q.wild.example"), undefined);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { formatRecord, rcodeName } from "#wire/dns";
import { planZone } from "./plan.ts";
import { cluster } from "./testing.ts";

const zone = planZone(cluster, 77);

/** `NOERROR`, its answer records, then `+` and the additional ones; or the code and the owner of the SOA. */
function ask(name: string, type: string): string[] {
  const answer = zone.answer(name, type);
  if (answer === "forward") return ["forward"];
  const { rcode, answers = [], authorities = [], additionals = [] } = answer.reply;
  const denial = authorities.map((record) => `${record.type} ${record.name}`);
  return [
    [rcodeName(rcode), ...denial].join(" "),
    ...answers.map(formatRecord),
    ...additionals.map((record) => `+ ${formatRecord(record)}`),
    ...(answer.completeWith === undefined ? [] : [`complete ${answer.completeWith}`]),
  ];
}

const nodata = ["NOERROR SOA cluster.local."];
const nxdomain = ["NXDOMAIN SOA cluster.local."];
const svc = "svc.cluster.local.";

const table: readonly (readonly [fact: string, name: string, type: string, expected: readonly string[]])[] = [
  [
    "a ClusterIP Service has its address",
    `api-service.default.${svc}`,
    "A",
    ["NOERROR", `api-service.default.${svc} 5 IN A 10.96.1.1`],
  ],
  [
    "names are compared without case and answered as asked",
    `API-Service.default.${svc}`,
    "A",
    ["NOERROR", `API-Service.default.${svc} 5 IN A 10.96.1.1`],
  ],
  ["an IPv4 Service has no AAAA", `api-service.default.${svc}`, "AAAA", nodata],
  [
    "a dual-stack Service has both",
    `dual.default.${svc}`,
    "AAAA",
    ["NOERROR", `dual.default.${svc} 5 IN AAAA fd00::3`],
  ],
  ["no other type", `api-service.default.${svc}`, "MX", nodata],
  ["an unknown type is NODATA too", `api-service.default.${svc}`, "TYPE65", nodata],
  ["ANY is NODATA", `api-service.default.${svc}`, "ANY", nodata],
  ["CNAME of a Service with addresses", `api-service.default.${svc}`, "CNAME", nodata],
  ["unknown Service", `none.default.${svc}`, "A", nxdomain],
  ["unknown Service, other type", `none.default.${svc}`, "SOA", nxdomain],
  ["unknown namespace", `api-service.none.${svc}`, "A", nxdomain],
  ["the apex", "cluster.local.", "A", nodata],
  ["svc", svc, "A", nodata],
  ["pod", "pod.cluster.local.", "A", nodata],
  ["a namespace with Services", `default.${svc}`, "A", nodata],
  ["a namespace without Services", `shop.${svc}`, "A", nodata],
  ["an unknown namespace as such", `none.${svc}`, "A", nxdomain],
  ["another label below the zone", "other.cluster.local.", "A", nxdomain],
  ["a name with too many labels", `x.a.b.api-service.default.${svc}`, "A", nxdomain],

  [
    "SRV of a named port, and the target's address",
    `_http._tcp.api-service.default.${svc}`,
    "SRV",
    [
      "NOERROR",
      `_http._tcp.api-service.default.${svc} 5 IN SRV 0 100 80 api-service.default.${svc}`,
      `+ api-service.default.${svc} 5 IN A 10.96.1.1`,
    ],
  ],
  [
    "SRV of the Service's own name has all ports",
    `api-service.default.${svc}`,
    "SRV",
    [
      "NOERROR",
      `api-service.default.${svc} 5 IN SRV 0 50 80 api-service.default.${svc}`,
      `api-service.default.${svc} 5 IN SRV 0 50 9090 api-service.default.${svc}`,
      `+ api-service.default.${svc} 5 IN A 10.96.1.1`,
    ],
  ],
  ["SRV of a port that is not there", `_ftp._tcp.api-service.default.${svc}`, "SRV", nxdomain],
  ["SRV of the other protocol", `_http._udp.api-service.default.${svc}`, "SRV", nxdomain],
  ["the label of the protocol leads to the ports", `_tcp.api-service.default.${svc}`, "SRV", nodata],
  ["the label of another protocol leads nowhere", `_udp.api-service.default.${svc}`, "SRV", nxdomain],
  [
    "A of a port's name",
    `_http._tcp.api-service.default.${svc}`,
    "A",
    ["NOERROR", `_http._tcp.api-service.default.${svc} 5 IN A 10.96.1.1`],
  ],
  ["an unnamed port has no name", `_._tcp.unnamed.default.${svc}`, "SRV", nxdomain],

  [
    "a headless Service has the addresses of its ready endpoints",
    `db.default.${svc}`,
    "A",
    [
      "NOERROR",
      `db.default.${svc} 5 IN A 10.244.0.7`,
      `db.default.${svc} 5 IN A 10.244.1.7`,
      `db.default.${svc} 5 IN A 10.244.1.9`,
    ],
  ],
  [
    "SRV of a headless Service names each endpoint",
    `_sql._tcp.db.default.${svc}`,
    "SRV",
    [
      "NOERROR",
      `_sql._tcp.db.default.${svc} 5 IN SRV 0 33 5432 db-0.db.default.${svc}`,
      `_sql._tcp.db.default.${svc} 5 IN SRV 0 33 5432 db-1.db.default.${svc}`,
      `_sql._tcp.db.default.${svc} 5 IN SRV 0 33 5432 10-244-1-9.db.default.${svc}`,
      `+ db-0.db.default.${svc} 5 IN A 10.244.0.7`,
      `+ db-1.db.default.${svc} 5 IN A 10.244.1.7`,
      `+ 10-244-1-9.db.default.${svc} 5 IN A 10.244.1.9`,
    ],
  ],
  [
    "an endpoint by its hostname",
    `db-1.db.default.${svc}`,
    "A",
    ["NOERROR", `db-1.db.default.${svc} 5 IN A 10.244.1.7`],
  ],
  [
    "an endpoint without hostname by its dashed address",
    `10-244-1-9.db.default.${svc}`,
    "A",
    ["NOERROR", `10-244-1-9.db.default.${svc} 5 IN A 10.244.1.9`],
  ],
  ["an endpoint that has a hostname has no dashed name", `10-244-0-7.db.default.${svc}`, "A", nxdomain],
  ["an endpoint that is not ready", `db-2.db.default.${svc}`, "A", nxdomain],
  [
    "an endpoint of a ClusterIP Service",
    `10-244-0-5.api-service.default.${svc}`,
    "A",
    ["NOERROR", `10-244-0-5.api-service.default.${svc} 5 IN A 10.244.0.5`],
  ],
  ["a headless Service without a ready endpoint", `idle.default.${svc}`, "A", nxdomain],
  [
    "a headless Service without ports",
    `portless.default.${svc}`,
    "A",
    ["NOERROR", `portless.default.${svc} 5 IN A 10.244.0.11`],
  ],
  ["... has no SRV", `portless.default.${svc}`, "SRV", nodata],

  [
    "ExternalName is an alias",
    `outside.default.${svc}`,
    "CNAME",
    ["NOERROR", `outside.default.${svc} 5 IN CNAME www.example.com.`],
  ],
  [
    "... completed by the upstream for addresses",
    `outside.default.${svc}`,
    "A",
    ["NOERROR", `outside.default.${svc} 5 IN CNAME www.example.com.`, "complete www.example.com."],
  ],
  ["... without SRV", `outside.default.${svc}`, "SRV", nodata],
  ["... without names below", `_http._tcp.outside.default.${svc}`, "SRV", nxdomain],
  [
    "an alias of a Service",
    `alias.default.${svc}`,
    "A",
    [
      "NOERROR",
      `alias.default.${svc} 5 IN CNAME api-service.default.${svc}`,
      `api-service.default.${svc} 5 IN A 10.96.1.1`,
    ],
  ],
  ["an alias of a Service without that type", `alias.default.${svc}`, "AAAA", nodata],
  ["an alias of nothing", `dangling.default.${svc}`, "A", nodata],
  ["an alias of itself ends", `circle.default.${svc}`, "A", nodata],
  [
    "an alias of an Ingress host stays in the cluster",
    `own-url.default.${svc}`,
    "A",
    [
      "NOERROR",
      `own-url.default.${svc} 5 IN CNAME api.hadywafa.com.`,
      "api.hadywafa.com. 5 IN A 203.0.113.128",
    ],
  ],
  ["an externalName that is an address is no alias", `address.default.${svc}`, "A", nxdomain],

  [
    "PTR of a ClusterIP",
    "1.1.96.10.in-addr.arpa.",
    "PTR",
    ["NOERROR", `1.1.96.10.in-addr.arpa. 5 IN PTR api-service.default.${svc}`],
  ],
  [
    "PTR of an IPv6 ClusterIP",
    `3.${"0.".repeat(27)}0.0.d.f.ip6.arpa.`,
    "PTR",
    ["NOERROR", `3.${"0.".repeat(27)}0.0.d.f.ip6.arpa. 5 IN PTR dual.default.${svc}`],
  ],
  [
    "PTR of an endpoint",
    "7.1.244.10.in-addr.arpa.",
    "PTR",
    ["NOERROR", `7.1.244.10.in-addr.arpa. 5 IN PTR db-1.db.default.${svc}`],
  ],
  ["PTR of an endpoint that is not ready", "8.1.244.10.in-addr.arpa.", "PTR", ["forward"]],
  ["PTR of an address outside", "1.2.0.192.in-addr.arpa.", "PTR", ["forward"]],
  ["other types of a known reverse name", "1.1.96.10.in-addr.arpa.", "A", ["NOERROR SOA in-addr.arpa."]],

  [
    "the version of the specification",
    "dns-version.cluster.local.",
    "TXT",
    ["NOERROR", 'dns-version.cluster.local. 28800 IN TXT "1.1.0"'],
  ],
  ["... exists for every type", "dns-version.cluster.local.", "A", nodata],
  [
    "SOA of the apex",
    "cluster.local.",
    "SOA",
    [
      "NOERROR",
      "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 77 7200 1800 86400 5",
    ],
  ],
  [
    "NS of the apex",
    "cluster.local.",
    "NS",
    [
      "NOERROR",
      `cluster.local. 5 IN NS kube-dns.kube-system.${svc}`,
      `+ kube-dns.kube-system.${svc} 5 IN A 10.96.0.10`,
    ],
  ],
  [
    "the primary server",
    "ns.dns.cluster.local.",
    "A",
    ["NOERROR", "ns.dns.cluster.local. 5 IN A 10.96.0.10"],
  ],
  ["the zone is not given away", "cluster.local.", "AXFR", ["REFUSED"]],

  [
    "a pod by its dashed address",
    "10-244-0-5.default.pod.cluster.local.",
    "A",
    ["NOERROR", "10-244-0-5.default.pod.cluster.local. 5 IN A 10.244.0.5"],
  ],
  ["... of an unknown namespace", "10-244-0-5.none.pod.cluster.local.", "A", nxdomain],
  ["... that is no address", "10-244-0-256.default.pod.cluster.local.", "A", nxdomain],
  ["... of the other family", "10-244-0-5.default.pod.cluster.local.", "AAAA", nodata],
  ["pods of a namespace", "default.pod.cluster.local.", "A", nodata],

  [
    "the host of an Ingress is the load balancer's",
    "api.hadywafa.com.",
    "A",
    ["NOERROR", "api.hadywafa.com. 5 IN A 203.0.113.128"],
  ],
  ["... in any case", "API.hadywafa.COM.", "A", ["NOERROR", "API.hadywafa.COM. 5 IN A 203.0.113.128"]],
  ["... and never asked for elsewhere", "api.hadywafa.com.", "AAAA", ["NOERROR SOA api.hadywafa.com."]],
  ["... even without an address yet", "pending.example.", "A", ["NOERROR SOA pending.example."]],
  [
    "a wildcard host covers one label",
    "a.shop.example.",
    "A",
    ["NOERROR", "a.shop.example. 5 IN A 203.0.113.128", "a.shop.example. 5 IN A 203.0.113.129"],
  ],
  [
    "a public name has both families, and the TTL of its annotation",
    "dual.example.",
    "AAAA",
    ["NOERROR", "dual.example. 60 IN AAAA 2001:db8::80"],
  ],
  [
    "a public name can be an alias of another",
    "Alias.example.",
    "A",
    ["NOERROR", "Alias.example. 30 IN CNAME api.hadywafa.com.", "api.hadywafa.com. 5 IN A 203.0.113.128"],
  ],
  [
    "... or of a name outside, which the upstream completes",
    "outside.example.",
    "A",
    ["NOERROR", "outside.example. 5 IN CNAME lb.cloud.example.", "complete lb.cloud.example."],
  ],
  ["... not two", "a.b.shop.example.", "A", ["forward"]],
  ["... and not none", "shop.example.", "A", ["forward"]],
  ["everything else is forwarded", "www.example.com.", "A", ["forward"]],
  ["the root too", ".", "NS", ["forward"]],
  ["a name that only ends like the zone", "xcluster.local.", "A", ["forward"]],
];

for (const [fact, name, type, expected] of table) {
  test(`${fact}: ${name} ${type}`, () => assert.deepEqual(ask(name, type), expected));
}

test("every answer of the zone is authoritative", () => {
  for (const [, name, type] of table) {
    const answer = zone.answer(name, type);
    if (answer === "forward" || type === "AXFR") continue;
    assert.equal(answer.reply.authoritative, true);
  }
});

function reasonOf(name: string): string | undefined {
  const answer = zone.answer(name, "A");
  return answer === "forward" ? undefined : answer.reason;
}

test("NXDOMAIN says why", () => {
  assert.equal(reasonOf(`none.default.${svc}`), "there is no Service default/none");
  assert.equal(reasonOf(`x.none.${svc}`), "there is no namespace none");
  assert.equal(reasonOf(`idle.default.${svc}`), "the headless Service has no ready endpoint");
});

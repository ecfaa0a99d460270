import assert from "node:assert/strict";
import { test } from "node:test";
import type { Endpoint, Explanation, Flow, NodeModel, ServiceModel } from "#model";
import { formatRecord, rcodeName } from "#wire/dns";
import { explain } from "./explain.ts";
import { publicAnswer } from "./public-dns.ts";
import { snapshotOf, webService } from "./testing.ts";

const ready: Partial<NodeModel> = {};
const flow = (destination: Flow["destination"]): Flow => ({
  protocol: "TCP",
  source: { address: "203.0.113.10" },
  destination,
});

function next({ outcome }: Explanation): string[] {
  if (outcome.kind !== "next") return [`${outcome.kind}: ${"reason" in outcome ? outcome.reason : ""}`];
  return outcome.alternatives.map(({ name, place, flow: onward }) =>
    [
      name,
      place.at,
      ...(place.at === "proxy" ? [place.node, place.from] : []),
      onward.destination.address,
    ].join(" "),
  );
}

for (const [fact, name, expected] of [
  ["an Ingress host leads to the edge", "api.hadywafa.com", ["203.0.113.128 edge 203.0.113.128"]],
  ["in any case, with a dot at its end", "API.hadywafa.com.", ["203.0.113.128 edge 203.0.113.128"]],
  ["an alias of another public name", "alias.example", ["203.0.113.128 edge 203.0.113.128"]],
  [
    "an alias that leads elsewhere",
    "outside.example",
    ["unknown: outside.example is an alias of lb.cloud.example, which another DNS decides"],
  ],
  ["of both families IPv4 is taken", "dual.example", ["203.0.113.128 edge 203.0.113.128"]],
  [
    "a name with IPv6 only",
    "six.example",
    ["2001:db8::80 edge 2001:db8::80", "2001:db8::81 edge 2001:db8::81"],
  ],
  ["a wildcard host covers one label", "a.shop.example", ["203.0.113.128 edge 203.0.113.128"]],
  [
    "a name that nobody owns",
    "example.com",
    ["rejected: NXDOMAIN: no Ingress rule has the host example.com"],
  ],
  [
    "an owner without address",
    "pending.example",
    ["rejected: pending.example has no address yet: its Ingress has no load balancer in its status"],
  ],
] as const) {
  test(`public DNS: ${fact}`, () => {
    const explanation = explain(snapshotOf([], {}), { at: "public-dns" }, flow({ name, port: 443 }));
    assert.deepEqual(next(explanation), expected);
    assert.equal(explanation.steps.length, 1);
  });
}

test("of a name with IPv6 only the AAAA records are predicted", () => {
  const { steps } = explain(
    snapshotOf([], {}),
    { at: "public-dns" },
    flow({ name: "six.example", port: 443 }),
  );
  assert.deepEqual(steps[0]?.predicted, [
    "six.example. 5 IN AAAA 2001:db8::80",
    "six.example. 5 IN AAAA 2001:db8::81",
  ]);
});

test("an address needs no public DNS", () => {
  const explanation = explain(
    snapshotOf([], {}),
    { at: "public-dns" },
    flow({ address: "203.0.113.128", port: 80 }),
  );
  assert.deepEqual([next(explanation), explanation.steps], [["203.0.113.128 edge 203.0.113.128"], []]);
});

for (const [name, type, expected] of [
  ["api.hadywafa.com.", "A", ["NOERROR", "api.hadywafa.com. 5 IN A 203.0.113.128"]],
  ["api.hadywafa.com.", "AAAA", ["NOERROR", "SOA"]],
  ["pending.example.", "A", ["NOERROR", "SOA"]],
  ["dual.example.", "AAAA", ["NOERROR", "dual.example. 60 IN AAAA 2001:db8::80"]],
  [
    "Alias.example.",
    "A",
    ["NOERROR", "Alias.example. 30 IN CNAME api.hadywafa.com.", "api.hadywafa.com. 5 IN A 203.0.113.128"],
  ],
  ["alias.example.", "AAAA", ["NOERROR", "alias.example. 30 IN CNAME api.hadywafa.com."]],
  ["outside.example.", "A", ["NOERROR", "outside.example. 5 IN CNAME lb.cloud.example."]],
  ["x.y.shop.example.", "A", ["NXDOMAIN", "SOA"]],
  ["example.com.", "A", ["NXDOMAIN", "SOA"]],
] as const) {
  test(`the public DNS answers ${name} ${type} with ${expected[0]}`, () => {
    const reply = publicAnswer(snapshotOf([], {}), name, type, { serial: 1 });
    const records = [
      ...(reply.answers ?? []).map(formatRecord),
      ...(reply.authorities ?? []).map((one) => one.type),
    ];
    assert.deepEqual([rcodeName(reply.rcode), ...records], expected);
    assert.equal(reply.authoritative, true);
  });
}

for (const [fact, name, type, expected] of [
  ["its own names are answered", "api.hadywafa.com.", "A", "NOERROR 203.0.113.128"],
  [
    "names that nobody owns are denied with the zone's SOA",
    "x.Hadywafa.com.",
    "A",
    "NXDOMAIN SOA hadywafa.com.",
  ],
  ["the zone exists", "hadywafa.com.", "A", "NOERROR SOA hadywafa.com."],
  ["and has a SOA record", "hadywafa.com.", "SOA", "NOERROR SOA hadywafa.com."],
  ["the most specific zone counts", "x.sub.hadywafa.com.", "A", "NXDOMAIN SOA sub.hadywafa.com."],
  ["a name that leads to others exists", "shop.example.", "A", "NOERROR SOA example."],
  ["names of others are refused", "api.hadywafa.net.", "A", "REFUSED"],
  ["nothing is given away", "hadywafa.com.", "AXFR", "REFUSED"],
] as const) {
  test(`the public DNS of some zones: ${fact}`, () => {
    const zones = ["hadywafa.com.", "sub.hadywafa.com.", "example."];
    const reply = publicAnswer(snapshotOf([], {}), name, type, { zones, serial: 1 });
    const records = [...(reply.answers ?? []), ...(reply.authorities ?? [])];
    const texts = records.map((one) => ("address" in one ? one.address : `${one.type} ${one.name}`));
    assert.equal([rcodeName(reply.rcode), ...texts].join(" "), expected);
  });
}

const endpointOn = (node: string, isReady = true): Endpoint => ({
  address: "10.244.0.5",
  port: 80,
  node,
  ready: isReady,
  serving: true,
  terminating: false,
});

function local(...endpoints: Endpoint[]): ServiceModel {
  const ports = [{ name: "http", protocol: "TCP" as const, port: 80, targetPort: 80, endpoints }];
  return webService({ externalTrafficPolicy: "Local", healthCheckNodePort: 32001, ports });
}

for (const [fact, service, nodes, expected] of [
  [
    "policy Cluster: every node is an alternative",
    webService(),
    { a: ready, b: ready },
    ["a proxy a outside 203.0.113.128", "b proxy b outside 203.0.113.128"],
  ],
  [
    "policy Local: only nodes with a ready endpoint",
    local(endpointOn("b")),
    { a: ready, b: ready },
    ["b proxy b outside 203.0.113.128"],
  ],
  [
    "policy Local without a ready endpoint anywhere",
    local(endpointOn("b", false)),
    { a: ready, b: ready },
    ["rejected: no node can take connections of Service shop/web"],
  ],
  [
    "nodes that are not ready or excluded are left out",
    webService(),
    { a: { ready: false }, b: { excludedFromLoadBalancers: true }, c: ready },
    ["c proxy c outside 203.0.113.128"],
  ],
  [
    "a node that is about to leave fails its health check",
    webService(),
    { a: { leaving: true }, b: ready },
    ["b proxy b outside 203.0.113.128"],
  ],
  [
    "where no node has a ready endpoint, one whose endpoints serve while they terminate is left",
    local({ ...endpointOn("b", false), terminating: true }),
    { a: ready, b: ready },
    ["b proxy b outside 203.0.113.128"],
  ],
] as const satisfies readonly (readonly [
  string,
  ServiceModel,
  Record<string, Partial<NodeModel>>,
  readonly string[],
])[]) {
  test(`edge: ${fact}`, () => {
    const explanation = explain(
      snapshotOf([service], nodes),
      { at: "edge" },
      flow({ address: "203.0.113.128", port: 80 }),
    );
    assert.deepEqual(next(explanation), expected);
  });
}

test("edge: the step names every node with its reason, and the way it would take", () => {
  const snapshot = snapshotOf([local(endpointOn("b"))], { a: ready, b: ready });
  const [step] = explain(snapshot, { at: "edge" }, flow({ address: "203.0.113.128", port: 80 })).steps;
  assert.deepEqual(
    step?.decision?.candidates.map(({ name, eligible, reason }) => [name, eligible, reason]),
    [
      ["a", false, "no ready endpoint on this node, and externalTrafficPolicy is Local"],
      ["b", true, "healthy"],
    ],
  );
  assert.deepEqual([step?.decision?.algorithm, step?.decision?.chosen], ["round robin", "b"]);
  assert.deepEqual(step?.predicted, ["203.0.113.128:80 via 172.30.0.12 (b)"]);
});

const proxied = webService({
  loadBalancerIPs: [],
  proxiedIPs: ["203.0.113.128"],
  proxyProtocol: "v2",
  ports: [
    { name: "http", protocol: "TCP", port: 80, targetPort: 80, nodePort: 30_080, endpoints: [] },
    { name: "bare", protocol: "TCP", port: 81, targetPort: 81, endpoints: [] },
  ],
});

test("edge: with the PROXY protocol it goes on by a connection of the load balancer's own, to a node port", () => {
  const at = snapshotOf([proxied], { a: ready });
  const { steps, outcome } = explain(at, { at: "edge" }, flow({ address: "203.0.113.128", port: 80 }));
  assert.deepEqual([steps[0]?.action, steps[0]?.predicted], ["proxy", ["172.30.0.11:30080 (a)"]]);
  assert.match(steps[0]?.rewrites.join() ?? "", /begins with PROXY v2/);
  const onward = outcome.kind === "next" ? outcome.alternatives[0]?.flow : undefined;
  assert.deepEqual(onward?.source, { address: "172.30.0.2" });
  assert.deepEqual(onward?.destination, { address: "172.30.0.11", port: 30_080 });
});

test("edge: with the PROXY protocol a port without node port is rejected", () => {
  const at = snapshotOf([proxied], { a: ready });
  const { outcome } = explain(at, { at: "edge" }, flow({ address: "203.0.113.128", port: 81 }));
  assert.match(outcome.kind === "rejected" ? outcome.reason : "", /81\/TCP: the PROXY protocol is for/);
});

/** Reason and mend of a connection that the edge refuses. */
function refusalOf(address: string, port: number, services = [webService()]): string[] {
  const { outcome } = explain(snapshotOf(services, { a: ready }), { at: "edge" }, flow({ address, port }));
  return outcome.kind === "rejected" ? [outcome.reason, outcome.mend ?? ""] : [];
}

test("edge: an address or port that no Service has is rejected, with what there is", () => {
  assert.deepEqual(refusalOf("203.0.113.129", 80), [
    "no Service of type LoadBalancer has the address 203.0.113.129",
    "use an address that kubectl get services shows",
  ]);
  assert.deepEqual(refusalOf("203.0.113.128", 81), [
    "Service shop/web has no port 81/TCP at 203.0.113.128",
    "the ports there are 80/TCP",
  ]);
});

test("edge: of a shared address, the Service with the port has the connection", () => {
  const [port] = webService().ports;
  assert.ok(port);
  const dns = webService({ name: "dns", ports: [{ ...port, protocol: "UDP", port: 53 }] });
  const shared = snapshotOf([dns, webService()], { a: ready });
  const [step] = explain(shared, { at: "edge" }, flow({ address: "203.0.113.128", port: 80 })).steps;
  assert.deepEqual(
    step?.evaluated.map(({ what, matched, why }) => `${what} ${matched}: ${why}`),
    ["Service shop/dns false: has no port 80/TCP", "Service shop/web true: has 203.0.113.128:80/TCP"],
  );
  assert.deepEqual(refusalOf("203.0.113.128", 81, [dns, webService()]), [
    "Service shop/dns and Service shop/web have no port 81/TCP at 203.0.113.128",
    "the ports there are 53/UDP, 80/TCP",
  ]);
});

test("edge: an address of another load balancer's Service is rejected, and the class is named", () => {
  assert.deepEqual(refusalOf("203.0.113.128", 80, [webService({ foreignClass: "example.com/lb" })]), [
    "Service shop/web with 203.0.113.128 is of the load balancer class example.com/lb, which is not served here",
    "make it anew without spec.loadBalancerClass to have it served",
  ]);
  assert.deepEqual(refusalOf("10.96.0.80", 80), [
    "no Service of type LoadBalancer has the address 10.96.0.80",
    "use an address that kubectl get services shows",
  ]);
});

test("edge: a node's own address leads to its Service rules", () => {
  const there = explain(
    snapshotOf([], { a: ready, b: ready }),
    { at: "edge" },
    flow({ address: "172.30.0.12", port: 30080 }),
  );
  assert.deepEqual(next(there), ["b proxy b outside 172.30.0.12"]);
});

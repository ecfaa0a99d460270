import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeModel, ServiceModel, Snapshot } from "#model";
import { planLoadBalancer, type Health, type HealthTarget } from "./plan.ts";
import { baseScript, changeScript, markNodes, noRules, renderRules, routeLines } from "./rules.ts";
import { snapshotOf, webService } from "./testing.ts";

const healthy: Health = { state: "healthy" };
const away: Health = { state: "gone", reason: "no answer within 300 ms" };
const quiet: Health = { state: "silent", reason: "does not answer" };
const refusing: Health = { state: "unhealthy", reason: "answers 503" };

/** Health by node; whoever is not named is healthy. */
const healthBy =
  (states: Readonly<Record<string, Health>> = {}) =>
  ({ node }: HealthTarget): Health =>
    states[node] ?? healthy;

function candidatesOf(snapshot: Snapshot, states?: Readonly<Record<string, Health>>): string[] {
  const { ports } = planLoadBalancer(snapshot, healthBy(states));
  return (ports[0]?.candidates ?? []).map(
    ({ name, eligible, reason }) => `${eligible ? "+" : "-"}${name}: ${reason}`,
  );
}

const a: Partial<NodeModel> = {};
for (const [fact, nodes, states, expected] of [
  ["healthy nodes are eligible", { a, b: a }, {}, ["+a: healthy", "+b: healthy"]],
  [
    "a node that is not Ready is not",
    { a: { ready: false }, b: a },
    {},
    ["-a: the node is not Ready", "+b: healthy"],
  ],
  [
    "a node that answers 503 is not",
    { a, b: a },
    { b: refusing },
    ["+a: healthy", "-b: unhealthy: answers 503"],
  ],
  [
    "a node that does not answer is not",
    { a, b: a },
    { a: away },
    ["-a: gone: no answer within 300 ms", "+b: healthy"],
  ],
  [
    "a node that fell silent is not, while others are heard of",
    { a, b: a },
    { a: quiet },
    ["-a: silent: does not answer", "+b: healthy"],
  ],
  [
    "where all are silent at once, all are used: rather that is a mistake",
    { a, b: a },
    { a: quiet, b: quiet },
    ["+a: silent, but no node is heard of", "+b: silent, but no node is heard of"],
  ],
  ["a node that was not asked yet is not", { a }, { a: { state: "unknown" } }, ["-a: not checked yet"]],
  [
    "a labelled node is not, however healthy",
    { a: { excludedFromLoadBalancers: true } },
    {},
    ["-a: labelled node.kubernetes.io/exclude-from-external-load-balancers"],
  ],
] as const satisfies readonly (readonly [
  string,
  Record<string, Partial<NodeModel>>,
  Record<string, Health>,
  readonly string[],
])[]) {
  test(fact, () => assert.deepEqual(candidatesOf(snapshotOf([webService()], nodes), states), expected));
}

test("every node is asked whether it lives; for Local Services, those with endpoints on the Service's own port", () => {
  const end = { address: "10.244.0.2", port: 80, node: "a", ready: true, serving: true, terminating: false };
  const local = webService({
    name: "local",
    loadBalancerIPs: ["203.0.113.129"],
    externalTrafficPolicy: "Local",
    healthCheckNodePort: 32001,
    ports: [{ name: "http", protocol: "TCP", port: 80, targetPort: 80, endpoints: [end] }],
  });
  const { targets, ports } = planLoadBalancer(snapshotOf([webService(), local], { a, b: a }), healthBy());
  assert.deepEqual(
    targets.map(({ node, port }) => `${node}:${port}`),
    ["a:10256", "b:10256", "a:32001"],
  );
  assert.deepEqual(
    ports.map(({ service, address, port, check }) => `${service} ${address}:${port} ${check.port}`),
    ["shop/web 203.0.113.128:80 10256", "shop/local 203.0.113.129:80 32001"],
  );
});

test("only LoadBalancer Services with an address are balanced, each port at each address", () => {
  const services = [
    webService({ name: "pending", loadBalancerIPs: [] }),
    webService({ name: "internal", type: "ClusterIP" }),
    webService({
      loadBalancerIPs: ["203.0.113.128", "203.0.113.140", "fd00::1"],
      ports: [
        { name: "dns", protocol: "UDP", port: 53, targetPort: 53, endpoints: [] },
        { name: "dns-tcp", protocol: "TCP", port: 53, targetPort: 53, endpoints: [] },
      ],
    }),
  ];
  const { ports } = planLoadBalancer(snapshotOf(services, { a }), healthBy());
  assert.deepEqual(
    ports.map(({ address, protocol, port }) => `${address} ${protocol} ${port}`),
    ["203.0.113.128", "203.0.113.140", "fd00::1"].flatMap((address) => [
      `${address} TCP 53`,
      `${address} UDP 53`,
    ]),
  );
});

test("where the PROXY protocol is spoken, TCP ports with node ports are proxied, others are not served", () => {
  const port = { targetPort: 80, endpoints: [] };
  const service = webService({
    loadBalancerIPs: [],
    proxiedIPs: ["203.0.113.128"],
    proxyProtocol: "v1",
    sourceRanges: ["198.51.100.0/24"],
    ports: [
      { ...port, name: "http", protocol: "TCP", port: 80, nodePort: 30_080 },
      { ...port, name: "bare", protocol: "TCP", port: 81 },
      { ...port, name: "dns", protocol: "UDP", port: 53, nodePort: 30_053 },
    ],
  });
  const plan = planLoadBalancer(snapshotOf([service], { a }), healthBy());
  assert.deepEqual(
    plan.ports.map(({ port: number, proxy }) => [number, proxy]),
    [[80, { version: "v1", nodePort: 30_080, sourceRanges: ["198.51.100.0/24"] }]],
  );
  const rules = renderRules(plan, marks, "IPv4", new Map([["203.0.113.128 . tcp . 80", 40_123]]));
  assert.deepEqual([...rules.chains], [["accept-here", ["accept"]]]);
  assert.deepEqual([...rules.accepted], [["203.0.113.128 . 80", "40123"]]);
});

const vip6 = "2001:db8:203:113:8000::80";
const dual = { addresses: ["172.30.0.11", "fd00:172:30::11"] };

test("an IPv6 address is for nodes that have IPv6, and is reached by their IPv6 address", () => {
  const snapshot = snapshotOf([webService({ loadBalancerIPs: [vip6] })], { a: dual, b: {} });
  const [port] = planLoadBalancer(snapshot, healthBy()).ports;
  assert.deepEqual(
    port?.candidates.map(({ address, eligible, reason }) => [address, eligible, reason]),
    [
      ["fd00:172:30::11", true, "healthy"],
      ["172.30.0.12", false, "the node has no IPv6 address"],
    ],
  );
});

test("each family has rules for its own addresses only, in a table of its own", () => {
  const service = webService({
    loadBalancerIPs: ["203.0.113.128", vip6],
    loadBalancerAlgorithm: "source-hash",
  });
  const plan = planLoadBalancer(snapshotOf([service], { a: dual, b: dual }), healthBy());
  assert.deepEqual([...renderRules(plan, marks).vips], ["203.0.113.128"]);
  const rules = renderRules(plan, marks, "IPv6");
  assert.deepEqual([...rules.choose.keys()], [`${vip6} . tcp . 80`]);
  assert.match([...rules.chains.values()].join(), /jhash ip6 saddr mod 503/);
  const turns = {
    ...plan,
    ports: plan.ports.map((port) => ({ ...port, algorithm: "round-robin" as const })),
  };
  const script = changeScript(noRules, renderRules(turns, marks, "IPv6"), "IPv6");
  assert.match(script, /^add chain ip6 inroad-lb vip-2001-db8-203-113-8000--80-tcp-80$/m);
  const pools = ["2001:db8::/64", "192.0.2.0/24", "2001:db8:1::/64"];
  const base = baseScript("IPv6", pools);
  assert.match(base, /table ip6 inroad-lb \{\n  map choose \{ type ipv6_addr \./);
  assert.match(base, /ip6 daddr \{ 2001:db8::\/64, 2001:db8:1::\/64 \} goto refuse/);
  assert.doesNotMatch(baseScript("IPv4", ["2001:db8::/64"]), /\{ \}|2001/);
});

test("a Service of another class is left to its own load balancer", () => {
  const foreign = webService({ foreignClass: "example.com/lb" });
  assert.deepEqual(planLoadBalancer(snapshotOf([foreign], { a }), healthBy()).ports, []);
});

const marks = markNodes(new Map(), ["a", "b"]);

test("the rule of a port is a round robin over the marks of its eligible nodes", () => {
  const rules = renderRules(planLoadBalancer(snapshotOf([webService()], { a, b: a }), healthBy()), marks);
  assert.deepEqual([...rules.choose], [["203.0.113.128 . tcp . 80", "goto vip-203-0-113-128-tcp-80"]]);
  assert.deepEqual(rules.chains.get("vip-203-0-113-128-tcp-80"), [
    "ct mark set numgen inc mod 2 map { 0 : 1, 1 : 2 } meta mark set ct mark accept",
    // For a packet that finds the map of a replaced rule empty.
    "ct mark set 1 meta mark set ct mark accept",
  ]);
});

for (const [algorithm, hashed] of [
  ["source-hash", "ip saddr"],
  ["connection-hash", "ip saddr . th sport"],
] as const) {
  test(`by ${algorithm}, ports with the same nodes share a table, and its seed is fixed`, () => {
    const more = { loadBalancerAlgorithm: algorithm };
    const services = [
      webService(more),
      webService({ ...more, name: "other", loadBalancerIPs: ["203.0.113.129"] }),
    ];
    const rules = renderRules(planLoadBalancer(snapshotOf(services, { a, b: a }), healthBy()), marks);
    assert.equal(rules.chains.size, 1);
    const [[name, [rule] = []] = []] = rules.chains;
    assert.equal(rule?.split(" { ")[0], `ct mark set jhash ${hashed} mod 503 seed 0x0 map`);
    assert.deepEqual(
      [...rules.choose],
      [
        ["203.0.113.128 . tcp . 80", `goto ${name}`],
        ["203.0.113.129 . tcp . 80", `goto ${name}`],
      ],
    );
  });
}

test("ports go over to another table when the nodes change, in one transaction", () => {
  const services = [webService({ loadBalancerAlgorithm: "source-hash" })];
  const [before, after] = [render({}, services), render({ b: refusing }, services)];
  const [old] = [...before.chains.keys()];
  const [next] = [...after.chains.keys()];
  const lines = changeScript(before, after).split("\n");
  assert.deepEqual(
    lines.filter((line) => !line.startsWith("add rule")),
    [
      `add chain ip inroad-lb ${next}`,
      `flush chain ip inroad-lb ${next}`,
      "delete element ip inroad-lb choose { 203.0.113.128 . tcp . 80 }",
      `add element ip inroad-lb choose { 203.0.113.128 . tcp . 80 : goto ${next} }`,
      `flush chain ip inroad-lb ${old}`,
      `delete chain ip inroad-lb ${old}`,
      "",
    ],
  );
});

test("without an eligible node the port refuses, and the mark of a dead node is remembered", () => {
  const plan = planLoadBalancer(snapshotOf([webService()], { a, b: a }), healthBy({ a: away, b: refusing }));
  const rules = renderRules(plan, marks);
  assert.deepEqual([...rules.chains.values()], [["goto refuse"]]);
  assert.deepEqual([...rules.gone], ["1"]);
});

test("the mark of a removed node is gone and never given to another", () => {
  const later = markNodes(marks, ["b", "c"]);
  assert.deepEqual(
    [...later],
    [
      ["a", 1],
      ["b", 2],
      ["c", 3],
    ],
  );
  const rules = renderRules(planLoadBalancer(snapshotOf([webService()], { b: a, c: a }), healthBy()), later);
  assert.deepEqual([...rules.gone], ["1"]);
});

const render = (states: Record<string, Health>, services: readonly ServiceModel[]) =>
  renderRules(planLoadBalancer(snapshotOf(services, { a, b: a }), healthBy(states)), marks);

test("only what differs is written", () => {
  const other = webService({
    name: "other",
    loadBalancerIPs: ["203.0.113.129"],
  });
  const both = render({}, [webService(), other]);
  assert.equal(changeScript(both, render({}, [webService(), other])), "");
  assert.equal(
    changeScript(both, render({}, [webService()])),
    [
      "delete element ip inroad-lb choose { 203.0.113.129 . tcp . 80 }",
      "delete element ip inroad-lb vips { 203.0.113.129 }",
      "flush chain ip inroad-lb vip-203-0-113-129-tcp-80",
      "delete chain ip inroad-lb vip-203-0-113-129-tcp-80",
      "",
    ].join("\n"),
  );
  const first = changeScript(noRules, render({ b: away }, [webService()]));
  assert.deepEqual(first.split("\n"), [
    "add chain ip inroad-lb vip-203-0-113-128-tcp-80",
    "flush chain ip inroad-lb vip-203-0-113-128-tcp-80",
    "add rule ip inroad-lb vip-203-0-113-128-tcp-80 ct mark set numgen inc mod 1 map { 0 : 1 } meta mark set ct mark accept",
    "add rule ip inroad-lb vip-203-0-113-128-tcp-80 ct mark set 1 meta mark set ct mark accept",
    "add element ip inroad-lb choose { 203.0.113.128 . tcp . 80 : goto vip-203-0-113-128-tcp-80 }",
    "add element ip inroad-lb vips { 203.0.113.128 }",
    "add element ip inroad-lb gone { 2 }",
    "",
  ]);
});

test("each node has a routing table of its own, kept while its address stays", () => {
  assert.deepEqual(routeLines(1, "172.30.0.11", undefined), [
    "route replace default via 172.30.0.11 dev eth0 table 101",
    "rule add fwmark 1 lookup 101 priority 1001",
  ]);
  assert.deepEqual(routeLines(1, "172.30.0.11", "172.30.0.11"), []);
  assert.deepEqual(routeLines(1, "172.30.0.9", "172.30.0.11"), [
    "route replace default via 172.30.0.9 dev eth0 table 101",
  ]);
  assert.deepEqual(routeLines(1, undefined, "172.30.0.11"), [
    "rule del fwmark 1 lookup 101 priority 1001",
    "route delete 0.0.0.0/0 table 101",
  ]);
  assert.deepEqual(routeLines(1, "fd00::11", undefined, "IPv6"), [
    "route replace default via fd00::11 dev eth0 table 101",
    "-6 rule add fwmark 1 lookup 101 priority 1001",
  ]);
  assert.deepEqual(routeLines(1, undefined, "fd00::11", "IPv6"), [
    "-6 rule del fwmark 1 lookup 101 priority 1001",
    "route delete ::/0 table 101",
  ]);
});

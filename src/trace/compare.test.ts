import assert from "node:assert/strict";
import { test } from "node:test";
import {
  exampleObjects,
  exampleSnapshot,
  exampleIngress,
  rule,
  service,
  vip,
} from "../../test/support/snapshot.ts";
import { client, healthy, predictExample, request, tracked, upstream } from "../../test/support/trace.ts";
import { compare } from "./compare.ts";
import { followEvidence } from "./evidence.ts";
import { predict } from "./predict.ts";
import { render } from "./render/render.ts";
import type { Observations, Trace } from "./types.ts";
import { exitStatusOf } from "./verdict.ts";

/** The trace of the example request with this evidence. */
function traceOf(observations: Observations, changes: Parameters<typeof exampleSnapshot>[0] = {}): Trace {
  const snapshot = exampleSnapshot(changes);
  return compare(predictExample(followEvidence(snapshot, observations), snapshot), observations);
}

const disagreements = (trace: Trace): readonly string[] =>
  trace.disagreements.map(
    ({ where, component, what, observed }) => `${where} ${component}: ${what} ${observed}`,
  );

test("the true values of the one request stand in the steps, in the order of the eight", () => {
  const trace = traceOf(healthy);
  assert.deepEqual(
    trace.steps.map(({ stage, component, to }) => `${stage} ${component} → ${to}`),
    [
      "1 public DNS → api.hadywafa.com",
      "2 load balancer → node-a",
      "2 proxy node-a (nftables) → inroad-system/inroad-ingress-a",
      "2 node node-a → pod inroad-system/inroad-ingress-a (10.244.0.3)",
      "2 pod inroad-system/inroad-ingress-a → 10.244.0.3:443",
      "3 ingress inroad-system/inroad-ingress-a → api.hadywafa.com:443",
      "3 ingress inroad-system/inroad-ingress-a → api-service.default.svc.cluster.local:80",
      "4 cluster DNS → kube-system/kube-dns 10.96.0.10:53",
      "5 proxy node-a (nftables) → default/api-3",
      "6 node node-a → node node-b (172.30.0.12:8472)",
      "6 node node-b → pod default/api-3 (10.244.1.5)",
      "7 pod default/api-3 → 10.244.1.5:8080",
    ],
  );
  assert.deepEqual(trace.disagreements, []);
  assert.deepEqual(
    trace.steps.flatMap((step) => step.evidence.missing),
    [],
  );
  assert.equal(trace.verdict.outcome, "delivered");
  assert.deepEqual(trace.verdict.pod, {
    namespace: "default",
    name: "api-3",
    node: "node-b",
    address: "10.244.1.5",
  });
  assert.equal(trace.verdict.httpStatus, 200);
  assert.equal(exitStatusOf(trace), 0);
});

test("with plain routes the packet and its answer go from node to node as they are", () => {
  const example = exampleSnapshot();
  const nodes = new Map(
    [...example.nodes].map(([name, node]) => [name, { ...node, overlay: "host-gw" as const }]),
  );
  const snapshot = { ...example, nodes };
  const trace = compare(predictExample(followEvidence(snapshot, healthy), snapshot), undefined);
  const across = trace.steps.find(({ to }) => to.startsWith("node node-b"));
  assert.deepEqual(
    [across?.action, across?.to, across?.rewrites],
    ["route", "node node-b (172.30.0.12)", []],
  );
  const back = trace.wayBack.find(({ component }) => component === "node node-b");
  assert.deepEqual([back?.action, back?.rewrites], ["route", []]);
});

test("the answer goes back by the same places with every translation undone", () => {
  assert.deepEqual(
    traceOf(healthy).wayBack.map(({ component, action, rewrites }) =>
      [component, action, ...rewrites].join("; "),
    ),
    [
      "pod default/api-3; answer",
      "node node-b; encapsulate; VXLAN VNI 1 around it: 172.30.0.12 -> 172.30.0.11:8472, device flannel.1",
      "node node-a; route",
      "proxy node-a (nftables); un-DNAT; source 10.244.1.5:8080 -> 10.96.1.1:80",
      "ingress inroad-system/inroad-ingress-a; pass on",
      "node node-a; route",
      "proxy node-a (nftables); un-DNAT; source 10.244.0.3:443 -> 203.0.113.128:443",
      "load balancer; pass on",
    ],
  );
});

test("another connection's entry is no evidence", () => {
  const proxyStep = traceOf(healthy).steps.find((step) => step.stage === 5);
  assert.deepEqual(proxyStep?.evidence.records, [
    "conntrack node-a: tcp TIME_WAIT 10.244.0.3:41234 -> 10.96.1.1:80, reply 10.244.1.5:8080 -> 10.244.0.3:41234",
  ]);
});

const [onNodeA, onNodeB] = healthy.conntrack;
const fromClient = tracked(client, ["203.0.113.128", 443], ["10.244.0.3", 443]);
const failed = { ...healthy.client, response: { status: 502 } };
const noAnswer = { ...healthy.ingress, status: 502, error: "connect ETIMEDOUT 10.96.1.1:80" };
const { pod: _account, ...withoutAccount } = healthy;

/** What was done to the cluster, what was seen then, and where the trace must shout. */
const sabotage: readonly (readonly [name: string, observations: Observations, shouts: readonly string[]])[] =
  [
    [
      "the packets of the pod's address are dropped on its node",
      {
        ...withoutAccount,
        client: failed,
        ingress: noAnswer,
        conntrack: [onNodeA, { ...onNodeB, entries: [] }],
      },
      [
        "5-node node node-b: connection not seen by this node",
        "verdict client: end of the request HTTP 502 from the ingress: connect ETIMEDOUT 10.96.1.1:80",
      ],
    ],
    [
      "our DNAT rule is deleted",
      {
        ...withoutAccount,
        client: failed,
        ingress: noAnswer,
        conntrack: [
          { node: "node-a", entries: [fromClient, tracked(upstream, ["10.96.1.1", 80], ["10.96.1.1", 80])] },
        ],
      },
      [
        "4-proxy proxy node-a (nftables): DNAT to not translated",
        "5-node node node-a: connection not seen by this node",
        "verdict client: end of the request HTTP 502 from the ingress: connect ETIMEDOUT 10.96.1.1:80",
      ],
    ],
    [
      "a route points elsewhere",
      {
        ...healthy,
        routes: [{ node: "node-a", destination: "10.244.1.5", device: "eth0", via: "172.30.0.1" }],
      },
      ["5-node node node-a: interface eth0", "5-node node node-a: next hop 172.30.0.1"],
    ],
    [
      "the packet left by another interface",
      {
        ...healthy,
        conntrack: [
          {
            ...onNodeA,
            entries: onNodeA.entries.map((entry) => ({ ...entry, leftBy: "underlay" as const })),
          },
          onNodeB,
        ],
      },
      ["5-node node node-a: left by underlay", "5-node node node-a: left by underlay"],
    ],
    [
      "the rules lead to an address that is no endpoint",
      {
        ...withoutAccount,
        conntrack: [
          {
            node: "node-a",
            entries: [fromClient, tracked(upstream, ["10.96.1.1", 80], ["10.244.1.99", 8080])],
          },
          onNodeB,
        ],
      },
      ["4-proxy proxy node-a (nftables): DNAT to 10.244.1.99:8080"],
    ],
    [
      "another pod answers",
      { ...healthy, pod: { ...healthy.pod, pod: "intruder" } },
      ["6-pod pod default/api-3: pod default/intruder"],
    ],
    [
      "the source address is not the client's",
      { ...healthy, ingress: { ...healthy.ingress, client: { address: "172.30.0.11", port: 1 } } },
      ["2-ingress ingress inroad-system/inroad-ingress-a: client address 172.30.0.11"],
    ],
    [
      "the ingress uses another rule",
      {
        ...healthy,
        ingress: { ...healthy.ingress, rule: { ...healthy.ingress.rule, field: "spec.defaultBackend" } },
      },
      ["2-ingress ingress inroad-system/inroad-ingress-a: rule default/api-ingress spec.defaultBackend"],
    ],
    [
      "the public DNS answers something else",
      { ...healthy, client: { ...healthy.client, dns: { records: [{ type: "A", address: "192.0.2.1" }] } } },
      ["1-load-balancer public DNS: answer 192.0.2.1"],
    ],
    [
      "the cluster DNS answers something else",
      { ...healthy, ingress: { ...healthy.ingress, dns: { ...healthy.ingress.dns, address: "10.96.9.9" } } },
      ["3-service cluster DNS: answer 10.96.9.9"],
    ],
    [
      "there is no answer",
      {
        ...withoutAccount,
        client: {
          ...healthy.client,
          response: undefined,
          error: { code: "ETIMEDOUT", message: "connect timed out" },
        } as unknown as NonNullable<Observations["client"]>,
      },
      ["verdict client: end of the request no answer: connect timed out"],
    ],
  ];

for (const [name, observations, shouts] of sabotage) {
  test(`it shouts when ${name}`, () => {
    const trace = traceOf(observations);
    for (const shout of shouts)
      assert.ok(disagreements(trace).includes(shout), disagreements(trace).join("\n"));
    assert.equal(exitStatusOf(trace), 1);
    for (const { predicted } of trace.disagreements) assert.ok(predicted.length > 0);
  });
}

test("an end that was not as predicted is never called delivered", () => {
  const trace = traceOf({ ...withoutAccount, client: failed, ingress: noAnswer });
  assert.equal(trace.verdict.outcome, "rejected");
  assert.match(trace.verdict.reason, /ETIMEDOUT.*predicted was: delivered to default\/api-3/);
});

/** Evidence that could not be read, and what is said of it. */
const gaps: readonly (readonly [name: string, observations: Observations, said: string])[] = [
  ["conntrack", { ...healthy, conntrack: [onNodeA] }, "conntrack of node-b was not read"],
  ["the pod's account", withoutAccount, "pod default/api-3 gave no account of itself"],
  [
    "the ingress record",
    { ...healthy, ingress: undefined } as unknown as Observations,
    "no ingress pod has a record of this request",
  ],
  [
    "the client's DNS answer",
    { ...healthy, client: { ...healthy.client, dns: undefined } } as unknown as Observations,
    "no answer for api.hadywafa.com was recorded",
  ],
];

for (const [name, observations, said] of gaps) {
  test(`missing evidence is told, not invented: ${name}`, () => {
    const trace = traceOf(observations);
    assert.ok(
      trace.steps.some((step) => step.evidence.missing.includes(said)),
      JSON.stringify(trace.steps.map((s) => s.evidence.missing)),
    );
    assert.deepEqual(trace.disagreements, []);
    assert.equal(exitStatusOf(trace), 0);
  });
}

test("a dry run compares nothing and says so", () => {
  const trace = compare(predictExample());
  assert.equal(trace.verdict.observed, false);
  assert.deepEqual(
    trace.steps.flatMap((step) => [...step.evidence.checks, ...step.evidence.missing]),
    [],
  );
  assert.equal(exitStatusOf(trace), 0);
});

test("every pod of the Service can answer without a disagreement", () => {
  for (const [name, node, address] of [
    ["api-1", "node-a", "10.244.0.5"],
    ["api-2", "node-a", "10.244.0.6"],
  ] as const) {
    const entries = [fromClient, tracked(upstream, ["10.96.1.1", 80], [address, 8080])];
    const pod = { ...healthy.pod, pod: name, node, address };
    const trace = traceOf({ ...healthy, conntrack: [{ node: "node-a", entries }], pod });
    assert.deepEqual(disagreements(trace), []);
    assert.equal(trace.verdict.pod?.name, name);
  }
});

test("an annotation that is not implemented makes the verdict unknown, exit status 3", () => {
  const annotations = { "nginx.ingress.kubernetes.io/rewrite-target": "/" };
  const rules = [rule("api.hadywafa.com", "/", "api-service", 80)];
  const trace = traceOf(healthy, { ingresses: [exampleIngress({ rules }, annotations)] });
  assert.equal(trace.verdict.outcome, "unknown");
  assert.match(trace.verdict.reason, /rewrite-target is not implemented; ingress-nginx would act on it/);
  assert.equal(exitStatusOf(trace), 3);
});

/** Bad input, what the client gets, and the verdict. */
const badInput: readonly (readonly [
  name: string,
  changes: Parameters<typeof exampleSnapshot>[0],
  url: string,
  status: number,
  reason: RegExp,
  mend: RegExp,
])[] = [
  [
    "a dangling backend",
    { ingresses: [exampleIngress({ rules: [rule("api.hadywafa.com", "/", "api-servic", 80)] })] },
    request.url,
    503,
    /Service default\/api-servic does not exist; did you mean api-service\?/,
    /write api-service/,
  ],
  [
    "no rule for the path",
    { ingresses: [exampleIngress({ rules: [rule("api.hadywafa.com", "/v2", "api-service", 80)] })] },
    request.url,
    404,
    /no Ingress rule/,
    /add a rule/,
  ],
  [
    "a selector that matches nothing",
    {
      services: [
        service("api-service", { app: "api-svc" }, { clusterIP: "10.96.1.1" }),
        ...exampleObjects().services.slice(1),
      ],
      endpointSlices: exampleObjects().endpointSlices.slice(1),
    },
    request.url,
    503,
    /no ready endpoints: selector app=api-svc; pods have app=api/,
    /write app: api in the selector/,
  ],
];

for (const [name, changes, url, status, reason, mend] of badInput) {
  test(`${name} is rejected with the reason and the mend`, () => {
    const snapshot = exampleSnapshot(changes);
    const observations: Observations = { client: { ...healthy.client, response: { status } } };
    const trace = compare(predictExample(undefined, snapshot, { ...request, url }), observations);
    assert.equal(trace.verdict.outcome, "rejected");
    assert.match(trace.verdict.reason, reason);
    assert.match(trace.verdict.mend ?? "", mend);
    assert.deepEqual(
      trace.disagreements.filter(({ where }) => where === "verdict"),
      [],
    );
    assert.equal(exitStatusOf(trace), 1);
  });
}

test("a request that succeeds though it should be rejected is a disagreement", () => {
  const snapshot = exampleSnapshot({ ingresses: [] });
  const trace = compare(predictExample(undefined, snapshot), healthy);
  assert.ok(disagreements(trace).includes("verdict client: end of the request HTTP 200"));
});

const locate = ({ kind, name }: { kind: string; name: string }) =>
  kind === "Ingress" ? `${name}.yaml:3` : undefined;

test("objects carry the place of their YAML", () => {
  const trace = compare(predictExample(), undefined, { locate });
  const where = trace.steps.flatMap((step) => step.evidence.objects.flatMap((object) => object.where ?? []));
  assert.deepEqual(where, ["api-ingress.yaml:3"]);
});

const fromNode = { url: "http://10.96.1.1/", method: "GET", headers: {}, from: "node/node-a" };
const nodeClient = { address: "172.30.0.11", port: 40001 };

/** A request from node-a itself to the ClusterIP, masqueraded by the tunnel's address on its way to node-b. */
function masqueraded(peer: string, changed: boolean): Observations {
  const original = {
    source: "172.30.0.11",
    sourcePort: 40001,
    destination: "10.96.1.1",
    destinationPort: 80,
  };
  const source = changed ? "10.244.0.0" : "172.30.0.11";
  const reply = { source: "10.244.1.5", sourcePort: 8080, destination: source, destinationPort: 61000 };
  const [onward, back] = [
    { source, sourcePort: 61000, destination: "10.244.1.5", destinationPort: 8080 },
    { source: "10.244.1.5", sourcePort: 8080, destination: source, destinationPort: 61000 },
  ];
  return {
    client: { client: nodeClient, response: { status: 200 } },
    conntrack: [
      { node: "node-a", entries: [{ protocol: "tcp", original, reply }] },
      { node: "node-b", entries: [{ protocol: "tcp", original: onward, reply: back }] },
    ],
    pod: { pod: "api-3", namespace: "default", node: "node-b", peer },
  };
}

test("a source that is rewritten against the prediction is a disagreement", () => {
  const [first, ...rest] = onNodeA.entries;
  const rewritten = { ...fromClient, reply: { ...fromClient.reply, destination: "172.30.0.11" } };
  const entries = [first, rewritten, ...rest.slice(1)];
  const trace = traceOf({ ...healthy, conntrack: [{ node: "node-a", entries }, onNodeB] });
  assert.deepEqual(disagreements(trace), ["4-proxy proxy node-a (nftables): source masqueraded"]);
});

test("a masqueraded connection is followed by the port that the node gave it", () => {
  const snapshot = exampleSnapshot();
  const trace = (observations: Observations) =>
    compare(predictExample(followEvidence(snapshot, observations), snapshot, fromNode), observations);
  const good = trace(masqueraded("10.244.0.0", true));
  assert.deepEqual(disagreements(good), []);
  assert.ok(
    good.steps.some((step) => step.evidence.records.some((record) => record.startsWith("conntrack node-b"))),
  );
  assert.equal(good.verdict.pod?.name, "api-3");
  const strange = trace(masqueraded("192.0.2.1", true));
  assert.deepEqual(disagreements(strange), ["6-pod pod default/api-3: peer 192.0.2.1"]);
  assert.deepEqual(disagreements(trace(masqueraded("172.30.0.11", false))), []);
});

test("the load balancer's own mark must name a node that was predicted", () => {
  const edge = (toNode: string): Observations => ({
    ...healthy,
    conntrack: [
      ...healthy.conntrack,
      { node: "edge", entries: [{ ...tracked(client, [vip, 443], [vip, 443]), toNode }] },
    ],
  });
  assert.deepEqual(disagreements(traceOf(edge("node-a"))), []);
  assert.deepEqual(disagreements(traceOf(edge("node-x"))), [
    "1-load-balancer load balancer: balanced to node-x",
  ]);
});

test("an endpoint that was not the next in turn is no disagreement: another connection came between", () => {
  const snapshot = exampleSnapshot();
  const slots = ["10.244.0.6", "10.244.1.5", "10.244.0.5"].map((address) => ({ address, port: 8080 }));
  const traced = (next: number): Trace => {
    const list = new Map([["default/api-service:80/TCP", { slots, next }]]);
    const proxies = { turns: new Map([["node-a", list]]) };
    const prediction = predict(snapshot, request, followEvidence(snapshot, healthy), { proxies });
    return compare(prediction, healthy);
  };
  const turn = (trace: Trace) => trace.steps.find(({ stage }) => stage === 5)?.decision;
  for (const [next, name, line] of [
    [1, "default/api-3", /predicted next: default\/api-3$/m],
    [0, "default/api-2", /predicted next: default\/api-2; another connection came between$/m],
  ] as const) {
    const trace = traced(next);
    assert.deepEqual(
      [turn(trace)?.next, turn(trace)?.chosen, trace.disagreements],
      [name, "default/api-3", []],
    );
    assert.match(render(trace, "text"), line);
  }
});

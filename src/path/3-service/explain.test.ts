import assert from "node:assert/strict";
import { test } from "node:test";
import type { Explanation, Flow, Snapshot } from "#model";
import { policy } from "../../../test/support/policy-world.ts";
import { apiPods, exampleSnapshot, pod } from "../../../test/support/snapshot.ts";
import { explain } from "./explain.ts";
import { podSearch } from "./search.ts";
import { cluster, service, without } from "./testing.ts";

const place = { at: "cluster-dns", pod: { namespace: "default", name: "client" } } as const;

function flowTo(name: string): Flow {
  return { protocol: "TCP", source: { address: "10.244.1.3" }, destination: { name, port: 80 } };
}

function explained(name: string, snapshot: Snapshot = cluster): Explanation {
  return explain(snapshot, place, flowTo(name));
}

/** Where the flow goes on: `proxy node-b pod -> 10.96.1.1`. */
function next({ outcome }: Explanation): string[] {
  if (outcome.kind !== "next") return [`${outcome.kind}: ${"reason" in outcome ? outcome.reason : ""}`];
  return outcome.alternatives.map(({ place: to, flow }) =>
    [to.at, ...(to.at === "proxy" ? [to.node, to.from] : []), "->", flow.destination.address].join(" "),
  );
}

test("the search list finds a Service of the pod's own namespace with one query", () => {
  const explanation = explained("api-service");
  assert.deepEqual(next(explanation), ["proxy node-b pod -> 10.96.1.1"]);
  const [step] = explanation.steps;
  assert.deepEqual(step?.evaluated, [
    { what: "api-service.default.svc.cluster.local.", matched: true, why: "answered" },
  ]);
  assert.deepEqual(step?.predicted, ["api-service.default.svc.cluster.local. 5 IN A 10.96.1.1"]);
  assert.deepEqual(step?.rewrites, ["destination api-service -> 10.96.1.1"]);
  assert.equal(step?.to, "kube-system/kube-dns 10.96.0.10:53");
});

test("a Service of another namespace is found by the second name of the list", () => {
  const { steps } = explained("kube-dns.kube-system");
  assert.deepEqual(
    steps[0]?.evaluated.map(({ what, why }) => `${what} ${why}`),
    [
      "kube-dns.kube-system.default.svc.cluster.local. NXDOMAIN: there is no Service default/kube-system",
      "kube-dns.kube-system.svc.cluster.local. answered",
    ],
  );
});

for (const [fact, name, expected] of [
  [
    "a headless Service is one alternative per address",
    "db",
    ["proxy node-b pod -> 10.244.0.7", "proxy node-b pod -> 10.244.1.7", "proxy node-b pod -> 10.244.1.9"],
  ],
  [
    "the cluster's own public URL leads to the load balancer",
    "api.hadywafa.com",
    ["proxy node-b pod -> 203.0.113.128"],
  ],
  [
    "what an upstream decides is unknown",
    "www.example.com",
    ["unknown: www.example.com. is not a name of this cluster: an upstream resolver decides"],
  ],
  [
    "so is an alias that leads outside",
    "outside",
    [
      "unknown: outside.default.svc.cluster.local. is not a name of this cluster: an upstream resolver decides",
    ],
  ],
  [
    "a Service that is not there is NXDOMAIN",
    "nothing.default.svc.cluster.local.",
    ["rejected: NXDOMAIN: there is no Service default/nothing"],
  ],
  [
    "a name without addresses is NODATA",
    "default.svc.cluster.local.",
    ["rejected: NODATA: default.svc.cluster.local. exists, but has no A record"],
  ],
] as const) {
  test(fact, () => assert.deepEqual(next(explained(name)), expected));
}

test("the mend names the Service of that name in another namespace", () => {
  const services = new Map([
    ...cluster.services,
    ["shop/cart", service("shop/cart", { clusterIPs: ["10.96.1.9"] })],
  ]);
  const { outcome } = explained("cart.default.svc.cluster.local.", { ...cluster, services });
  assert.ok(outcome.kind === "rejected");
  assert.equal(outcome.mend, "there is a Service shop/cart: use the name cart.shop");
});

test("without a ready DNS server nothing is resolved", () => {
  const idle = service("kube-system/kube-dns", { clusterIPs: ["10.96.0.10"] });
  const snapshot = { ...cluster, services: new Map([...cluster.services, ["kube-system/kube-dns", idle]]) };
  assert.deepEqual(next(explained("api-service", snapshot)), [
    "rejected: the cluster DNS (Service kube-system/kube-dns) has no ready endpoint",
  ]);
  const elsewhere = without("kube-system/kube-dns");
  assert.deepEqual(next(explained("api-service", elsewhere)), ["proxy node-b pod -> 10.96.1.1"]);
});

test("NetworkPolicies that keep the pod from every DNS server keep it from every name", () => {
  const dnsPods = [
    pod("kube-dns-1", {
      namespace: "kube-system",
      node: "node-a",
      address: "10.244.0.2",
      labels: { "k8s-app": "kube-dns" },
    }),
  ];
  const explainedWith = (egress: readonly object[]): Explanation => {
    const spec = { podSelector: {}, policyTypes: ["Egress"], egress };
    const networkPolicies = [policy("default/out", spec)];
    const snapshot = exampleSnapshot({ pods: [...apiPods, ...dnsPods], networkPolicies });
    const from = { at: "cluster-dns", pod: { namespace: "default", name: "api-1" } } as const;
    return explain(snapshot, from, { ...flowTo("api-service"), source: { address: "10.244.0.5" } });
  };
  const { outcome, steps } = explainedWith([]);
  assert.ok(outcome.kind === "dropped");
  assert.match(
    outcome.reason,
    /^no name is resolved: NetworkPolicy default\/out isolates the egress of pod default\/api-1/,
  );
  assert.match(outcome.mend ?? "", /k8s-app=kube-dns of namespace kube-system and port 53\/UDP/);
  assert.equal(steps[0]?.action, "drop");
  const to = [{ namespaceSelector: {}, podSelector: { matchLabels: { "k8s-app": "kube-dns" } } }];
  assert.deepEqual(next(explainedWith([{ to }])), ["proxy node-a pod -> 10.96.1.1"]);
});

test("an address needs no name", () => {
  const flow: Flow = { ...flowTo("x"), destination: { address: "10.96.1.1", port: 80 } };
  const explanation = explain(cluster, place, flow);
  assert.deepEqual(next(explanation), ["proxy node-b pod -> 10.96.1.1"]);
  assert.deepEqual(explanation.steps, []);
});

test("a pod that is on no node resolves nothing", () => {
  const lost = { at: "cluster-dns", pod: { namespace: "default", name: "lost" } } as const;
  assert.equal(explain(cluster, lost, flowTo("api-service")).outcome.kind, "unknown");
});

test("the search list of a pod begins with its namespace", () => {
  assert.deepEqual(podSearch("cluster.local", "shop"), {
    search: ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local"],
    ndots: 5,
  });
});

test("how a pod with resolver settings of its own looks a name up is not known", () => {
  const pod = cluster.pods.get("default/client");
  assert.ok(pod !== undefined);
  const pods = new Map([["default/client", { ...pod, ownResolver: true as const }]]);
  assert.deepEqual(next(explained("api-service", { ...cluster, pods })), [
    "unknown: pod default/client has a resolver of its own (dnsPolicy or dnsConfig)",
  ]);
});

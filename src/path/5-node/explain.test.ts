import { test } from "node:test";
import assert from "node:assert/strict";
import { compile } from "#model";
import type { Flow, NodeModel, PodModel, Snapshot } from "#model";
import { exampleSnapshot } from "../../../test/support/snapshot.ts";
import { explain } from "./explain.ts";

const nodes: NodeModel[] = [
  {
    name: "node-a",
    address: "172.30.0.11",
    addresses: ["172.30.0.11"],
    podCIDR: "10.244.0.0/24",
    podCIDRs: ["10.244.0.0/24"],
    vtepMac: "02:00:00:00:00:0a",
    ready: true,
  },
  {
    name: "node-b",
    address: "172.30.0.12",
    addresses: ["172.30.0.12"],
    podCIDR: "10.244.1.0/24",
    podCIDRs: ["10.244.1.0/24"],
    vtepMac: "02:00:00:00:00:0b",
    ready: true,
  },
  {
    name: "plain",
    address: "172.30.0.14",
    addresses: ["172.30.0.14", "fd00:172:30::14"],
    podCIDR: "10.244.3.0/24",
    podCIDRs: ["10.244.3.0/24", "fd00:10:244:3::/64"],
    overlay: "host-gw",
    ready: true,
  },
  {
    name: "gateway",
    address: "172.30.0.15",
    addresses: ["172.30.0.15", "fd00:172:30::15"],
    podCIDR: "10.244.4.0/24",
    podCIDRs: ["10.244.4.0/24", "fd00:10:244:4::/64"],
    overlay: "host-gw",
    ready: true,
  },
  {
    name: "silent",
    address: "172.30.0.13",
    addresses: ["172.30.0.13"],
    podCIDR: "10.244.2.0/24",
    podCIDRs: ["10.244.2.0/24"],
    ready: false,
  },
];

function pod(name: string, node: string, address: string, more: Partial<PodModel> = {}): PodModel {
  return {
    namespace: "default",
    name,
    uid: name,
    node,
    address,
    addresses: [address],
    labels: {},
    ready: true,
    terminating: false,
    hostNetwork: false,
    ports: [],
    ...more,
  };
}

const pods = [
  pod("near", "node-a", "10.244.0.2"),
  pod("far", "node-b", "10.244.1.2"),
  pod("lost", "silent", "10.244.2.2"),
  pod("beyond", "plain", "10.244.3.2", { addresses: ["10.244.3.2", "fd00:10:244:3::2"] }),
  pod("host", "node-b", "172.30.0.12", {
    hostNetwork: true,
    ports: [{ containerPort: 9100, protocol: "TCP" }],
  }),
];

const snapshot: Snapshot = {
  ...compile(
    {
      nodes: [],
      pods: [],
      services: [],
      endpointSlices: [],
      ingresses: [],
      ingressClasses: [],
      secrets: [],
      namespaces: [],
    },
    { domain: "cluster.local" },
  ),
  nodes: new Map(nodes.map((node) => [node.name, node])),
  pods: new Map(pods.map((one) => [`default/${one.name}`, one])),
  podsByAddress: new Map(
    pods
      .filter(({ hostNetwork }) => !hostNetwork)
      .flatMap((one) => one.addresses.map((address): [string, PodModel] => [address, one])),
  ),
};

function ask(address: string, options: { from?: string; port?: number; node?: string } = {}) {
  const flow: Flow = {
    protocol: "TCP",
    source: { address: options.from ?? "10.244.0.9", port: 40000 },
    destination: { address, port: options.port ?? 8080 },
  };
  return explain(snapshot, { at: "node", node: options.node ?? "node-a" }, flow);
}

test("a pod of this node is reached over its own link", () => {
  const { steps, outcome } = ask("10.244.0.2");
  assert.deepEqual(
    steps.map(({ component, action }) => [component, action]),
    [["node node-a", "route"]],
  );
  assert.match(steps[0]?.predicted[0] ?? "", /^10\.244\.0\.2 dev veth[0-9a-f]{8} scope link$/);
  assert.ok(outcome.kind === "next" && outcome.alternatives[0]?.place.at === "pod");
});

test("a pod of another node is reached through the overlay, encapsulated to that node's address", () => {
  const { steps, outcome } = ask("10.244.1.2");
  assert.deepEqual(
    steps.map(({ component, action }) => [component, action]),
    [
      ["node node-a", "encapsulate"],
      ["node node-b", "route"],
    ],
  );
  assert.equal(steps[0]?.predicted[0], "10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink");
  assert.deepEqual(steps[0]?.rewrites, [
    "VXLAN VNI 1 around it: 172.30.0.11 -> 172.30.0.12:8472, device flannel.1",
  ]);
  assert.ok(outcome.kind === "next" && outcome.alternatives[0]?.name === "default/far");
});

test("with plain routes the packet goes to that node as it is, in both families", () => {
  const crossings = [
    ["10.244.3.2", "172.30.0.14", "10.244.3.0/24 via 172.30.0.14 dev eth0"],
    ["fd00:10:244:3::2", "fd00:172:30::14", "fd00:10:244:3::/64 via fd00:172:30::14 dev eth0 metric 1024"],
  ] as const;
  for (const [address, via, route] of crossings) {
    const { steps, outcome } = ask(address, { node: "gateway" });
    const [across, deliver] = steps;
    assert.deepEqual([across?.component, across?.action], ["node gateway", "route"]);
    assert.equal(across?.to, `node plain (${via})`);
    assert.deepEqual(across?.predicted, [route]);
    assert.deepEqual(across?.rewrites, []);
    assert.equal(deliver?.component, "node plain");
    assert.ok(outcome.kind === "next" && outcome.alternatives[0]?.name === "default/beyond");
  }
});

const ends: readonly [what: string, address: string, kind: string, reason: RegExp][] = [
  [
    "an address of this node that no pod has",
    "10.244.0.77",
    "rejected",
    /no pod has the address 10\.244\.0\.77.*node-a/,
  ],
  ["an address of another node that no pod has", "10.244.1.77", "rejected", /node node-b answers/],
  ["a part of the pod network that no node owns", "10.244.99.1", "rejected", /no pod has the address/],
  ["a pod of a node that announced no tunnel end", "10.244.2.2", "rejected", /silent has not announced/],
  [
    "a pod of a node with another overlay",
    "10.244.3.2",
    "rejected",
    /reached by host-gw, and node-a only knows vxlan/,
  ],
  ["an IPv6 address on a node without IPv6", "fd00:10:244:3::2", "rejected", /no address of the family/],
  ["what is no address", "nowhere", "unknown", /not an address/],
  ["an address outside", "192.0.2.7", "unknown", /outside the cluster/],
  ["a node's own address with a port no pod declares", "172.30.0.11", "unknown", /is node node-a itself/],
];
for (const [what, address, kind, reason] of ends) {
  test(`${what} is ${kind}`, () => {
    const { outcome } = ask(address);
    assert.equal(outcome.kind, kind);
    assert.match("reason" in outcome ? outcome.reason : "", reason);
  });
}

test("a node's address leads to the pod in its network that declares the port", () => {
  const { outcome } = ask("172.30.0.12", { port: 9100, node: "node-b" });
  assert.ok(outcome.kind === "next" && outcome.alternatives[0]?.name === "default/host");
});

test("another node's address leads to that node's Service rules, with this node's address where a pod sends", () => {
  for (const [from, source] of [
    ["10.244.0.9", "172.30.0.11"],
    ["172.30.0.11", "172.30.0.11"],
  ] as const) {
    const { outcome } = ask("172.30.0.12", { from, port: 30_080 });
    assert.ok(outcome.kind === "next");
    const [only] = outcome.alternatives;
    assert.deepEqual(only?.place, { at: "proxy", node: "node-b", from: "outside" });
    assert.equal(only?.flow.source.address, source);
  }
});

test("what a node masquerades arrives with the address of its tunnel end, where it goes through the tunnel", () => {
  for (const [to, source] of [
    ["10.244.1.2", "10.244.0.0"],
    ["10.244.0.2", "172.30.0.11"],
  ] as const) {
    const { outcome } = ask(to, { from: "172.30.0.11" });
    assert.ok(outcome.kind === "next");
    assert.equal(outcome.alternatives[0]?.flow.source.address, source);
  }
});

test("what a pod sends outside leaves with the node's address; what is not from a pod does not change", () => {
  assert.deepEqual(ask("192.0.2.7").steps[0]?.rewrites, ["source 10.244.0.9 -> 172.30.0.11 (masquerade)"]);
  assert.deepEqual(ask("192.0.2.7", { from: "172.30.0.11" }).steps[0]?.rewrites, []);
});

test("a load-balancer address leads to the edge, wherever its pool lies", () => {
  for (const [address, route] of [
    ["203.0.113.128", "203.0.113.0/24 via 172.30.0.2 dev eth0"],
    ["198.51.100.7", "the pool of 198.51.100.7 via 172.30.0.2 dev eth0"],
  ] as const) {
    const status = { loadBalancer: { ingress: [{ ip: address }] } };
    const web = { metadata: { name: "web", namespace: "default" }, spec: { type: "LoadBalancer" }, status };
    const { services } = exampleSnapshot({ services: [web] });
    const flow: Flow = {
      protocol: "TCP",
      source: { address: "10.244.0.9" },
      destination: { address, port: 80 },
    };
    const explained = explain({ ...snapshot, services }, { at: "node", node: "node-a" }, flow);
    assert.deepEqual(explained.steps[0]?.predicted, [route]);
    assert.ok(explained.outcome.kind === "next" && explained.outcome.alternatives[0]?.place.at === "edge");
  }
});

test("an unknown node or an unresolved destination is unknown, not an exception", () => {
  assert.equal(ask("10.244.0.2", { node: "nowhere" }).outcome.kind, "unknown");
  const flow: Flow = {
    protocol: "TCP",
    source: { address: "10.244.0.9" },
    destination: { name: "x", port: 80 },
  };
  assert.equal(explain(snapshot, { at: "node", node: "node-a" }, flow).outcome.kind, "unknown");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeModel, ServiceModel } from "#model";
import type { Health, HealthTarget } from "../plan.ts";
import { snapshotOf, webService } from "../testing.ts";
import { planAnnouncements } from "./plan.ts";

const VIP = "203.0.113.128";
const PEER_PORT = 10266;
const healthy: Health = { state: "healthy" };
const gone: Health = { state: "gone", reason: "no answer within 300 ms" };

interface Cluster {
  readonly services?: readonly ServiceModel[];
  readonly nodes?: Readonly<Record<string, Partial<NodeModel>>>;
  readonly pools?: readonly string[];
  readonly healthOf?: (target: HealthTarget) => Health;
}

function plan({ services = [webService()], nodes = { a: {}, b: {}, c: {} }, pools = [], healthOf }: Cluster) {
  const snapshot = snapshotOf(services, nodes);
  return planAnnouncements(snapshot, healthOf ?? (() => healthy), { node: "a", pools, peerPort: PEER_PORT });
}

/** `address node` for each address. */
const announcers = (cluster: Cluster): string[] =>
  plan(cluster).announcements.map(({ address, announcer }) => `${address} ${announcer}`);

const many = Array.from({ length: 60 }, (_, i) =>
  webService({ name: `web-${i}`, loadBalancerIPs: [`203.0.113.${i + 1}`] }),
);
const healthyBut = (node: string, port?: number) => (target: HealthTarget) =>
  target.node === node && (port === undefined || target.port === port) ? gone : healthy;

test("addresses are spread over the nodes, and each has one", () => {
  const names = announcers({ services: many }).map((line) => line.split(" ")[1]);
  for (const node of ["a", "b", "c"]) {
    const share = names.filter((name) => name === node).length;
    assert.ok(share > 8 && share < 32, `${node}: ${share} of 60`);
  }
});

test("a node that dies gives its addresses to others, and no other address moves", () => {
  const before = announcers({ services: many });
  const after = announcers({ services: many, healthOf: healthyBut("b") });
  for (const [i, line] of before.entries()) {
    if (line.endsWith(" b")) assert.match(after[i] ?? "", / [ac]$/);
    else assert.equal(after[i], line);
  }
});

test("the choice is the first by SHA-256 of node and address, which every version must agree on", () => {
  const names = { "node-a": {}, "node-b": {} };
  const services = ["172.30.0.200", "172.30.0.203"].map((ip) =>
    webService({ loadBalancerIPs: [ip], name: ip }),
  );
  assert.deepEqual(announcers({ nodes: names, services }), ["172.30.0.200 node-a", "172.30.0.203 node-b"]);
});

for (const [what, cluster] of [
  ["not Ready", { nodes: { a: { ready: false }, b: {} } }],
  ["excluded by its label", { nodes: { a: { excludedFromLoadBalancers: true }, b: {} } }],
  ["leaving", { nodes: { a: { leaving: true }, b: {} } }],
  ["silent", { nodes: { a: {}, b: {} }, healthOf: healthyBut("a") }],
  ["without an announcing process", { nodes: { a: {}, b: {} }, healthOf: healthyBut("a", PEER_PORT) }],
  ["without rules in force", { nodes: { a: {}, b: {} }, healthOf: healthyBut("a", 10256) }],
] as const satisfies readonly (readonly [string, Cluster])[]) {
  test(`a node that is ${what} announces nothing`, () => {
    const names = announcers({ services: many, ...cluster }).map((line) => line.split(" ")[1]);
    assert.deepEqual(new Set(names), new Set(["b"]));
  });
}

test("a leaving node still announces where there is no other", () => {
  assert.deepEqual(announcers({ nodes: { a: { leaving: true }, b: { ready: false } } }), [`${VIP} a`]);
});

test("who has just started takes nothing from nodes that it has not asked yet, and waits for its own health", () => {
  const unknown = (node: string) => (target: HealthTarget) =>
    target.node === node ? ({ state: "unknown" } as const) : healthy;
  const known = announcers({ services: many });
  assert.deepEqual(announcers({ services: many, healthOf: unknown("b") }), known);
  const others = announcers({ services: many, healthOf: unknown("a") });
  assert.ok(others.every((line) => !line.endsWith(" a")));
});

test("nobody announces an address that no node is fit for", () => {
  const { announcements } = plan({ healthOf: () => gone });
  assert.deepEqual(announcements, [
    { address: VIP, services: ["shop/web"], announcer: undefined, eligible: [] },
  ]);
});

const endpointOn = (node: string) => ({
  ...{ address: "10.244.0.9", port: 80, node },
  ...{ ready: true, serving: true, terminating: false },
});
const localOn = (node: string, name: string): ServiceModel =>
  webService({
    name,
    externalTrafficPolicy: "Local",
    healthCheckNodePort: 32001,
    ports: [{ name: "http", protocol: "TCP", port: 80, targetPort: 80, endpoints: [endpointOn(node)] }],
  });

test("with policy Local only nodes with ready endpoints announce", () => {
  for (const node of ["a", "b", "c"])
    assert.deepEqual(announcers({ services: [localOn(node, "web")] }), [`${VIP} ${node}`]);
});

test("Services that share an address are announced by a node that suits as many as may be", () => {
  for (const node of ["a", "b", "c"]) {
    const services = [localOn(node, "local"), webService({ name: "all" })];
    const [announcement] = plan({ services }).announcements;
    assert.equal(announcement?.announcer, node);
    assert.deepEqual(announcement?.services, ["shop/all", "shop/local"]);
    assert.deepEqual(announcement?.eligible, ["a", "b", "c"]);
  }
});

test("only nodes with an address of the family announce an IPv6 address", () => {
  const nodes = { a: {}, b: { addresses: ["172.30.0.12", "fd00::12"] } };
  const services = [webService({ loadBalancerIPs: ["fd00::80"] })];
  assert.deepEqual(announcers({ services, nodes }), ["fd00::80 b"]);
});

test("addresses outside of the pools, of foreign classes and of nodes are left alone", () => {
  const services = [
    webService({ name: "ours", loadBalancerIPs: ["203.0.113.128", "198.51.100.1"] }),
    webService({
      name: "foreign",
      loadBalancerIPs: ["203.0.113.130"],
      foreignClass: "cloud.example/nlb",
    }),
    webService({ name: "thief", loadBalancerIPs: ["172.30.0.12"] }),
  ];
  const nodes = { a: {}, b: {} };
  const addresses = (pools: readonly string[]) =>
    plan({ services, nodes, pools }).announcements.map(({ address }) => address);
  assert.deepEqual(addresses([]), ["198.51.100.1", "203.0.113.128"]);
  assert.deepEqual(addresses(["203.0.113.0/24"]), ["203.0.113.128"]);
});

test("nodes are asked for their rules and for their announcing process, and only while there is something to announce", () => {
  const ports = (services: readonly ServiceModel[]) => [
    ...new Set(plan({ services }).targets.map((target) => target.port)),
  ];
  assert.deepEqual(ports([webService()]), [10256, PEER_PORT]);
  assert.deepEqual(ports([localOn("a", "web")]), [10256, 32001, PEER_PORT]);
  assert.deepEqual(ports([webService({ loadBalancerIPs: [] })]), []);
});

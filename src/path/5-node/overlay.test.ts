import { test } from "node:test";
import assert from "node:assert/strict";
import { compile } from "#model";
import type { NodeModel, Snapshot } from "#model";
import { overlayOf, overlays, planRemotes, unreachedReason } from "./overlay.ts";
import { dualNode, identity, nodeA, nodeB } from "./testing.ts";
import { vtepMac } from "./vxlan.ts";

const empty: Snapshot = compile(
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
);
const mac = "02:00:00:00:00:01";

test("a node's tunnel MAC is always the same, its own, local and unicast", () => {
  assert.equal(vtepMac("node-a"), vtepMac("node-a"));
  assert.notEqual(vtepMac("node-a"), vtepMac("node-b"));
  assert.match(vtepMac("node-a"), /^02(:[0-9a-f]{2}){5}$/);
});

test("a node announces in Flannel's annotations how its pods are reached", () => {
  const read = (overlay: "vxlan" | "host-gw"): [string | undefined, unknown] => {
    const annotations = overlays[overlay].annotations(nodeA);
    const data: unknown = JSON.parse(annotations["flannel.alpha.coreos.com/backend-data"] ?? "");
    return [annotations["flannel.alpha.coreos.com/backend-type"], data];
  };
  assert.deepEqual(read("vxlan"), ["vxlan", { VNI: 1, VtepMAC: vtepMac("node-a") }]);
  assert.deepEqual(read("host-gw"), ["host-gw", null]);
});

test("the overlay device is Flannel's: VNI 1, UDP 8472, nolearning, /32 at .0", () => {
  assert.deepEqual(overlays.vxlan.device(dualNode, 1450), [
    `link add flannel.1 mtu 1450 address ${vtepMac("node-a")} type vxlan id 1 dstport 8472 local 172.30.0.11 dev eth0 nolearning`,
    "address add 10.244.0.0/32 dev flannel.1",
    "link set flannel.1 up",
  ]);
});

test("VXLAN: a remote node is a neighbour, a forwarding entry and an onlink route", () => {
  assert.deepEqual(overlays.vxlan.remote({ ...nodeB, vtepMac: mac }), {
    ip: [
      `neighbour replace 10.244.1.0 lladdr ${mac} dev flannel.1 nud permanent`,
      "route replace 10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink",
    ],
    bridge: [`fdb replace ${mac} dev flannel.1 dst 172.30.0.12 self permanent`],
    removeIp: ["route delete 10.244.1.0/24", "neighbour delete 10.244.1.0 dev flannel.1"],
    removeBridge: [`fdb delete ${mac} dev flannel.1 dst 172.30.0.12 self`],
  });
});

test("VXLAN: IPv6 has a neighbour and a route of its own and the same forwarding entry", () => {
  const { ip, bridge } = overlays.vxlan.remote({ ...dualNode, vtepMac: mac });
  assert.deepEqual(ip.slice(2), [
    `neighbour replace fd00:10:244:: lladdr ${mac} dev flannel.1 nud permanent`,
    "route replace fd00:10:244::/64 via fd00:10:244:: dev flannel.1 metric 1024 onlink",
  ]);
  assert.equal(bridge.length, 1);
});

test("host-gw: a remote node is the gateway to its pods", () => {
  assert.deepEqual(overlays["host-gw"].remote(dualNode), {
    ip: [
      "route replace 10.244.0.0/24 via 172.30.0.11 dev eth0",
      "route replace fd00:10:244::/64 via fd00:172:30::11 dev eth0 metric 1024",
    ],
    bridge: [],
    removeIp: ["route delete 10.244.0.0/24", "route delete fd00:10:244::/64"],
    removeBridge: [],
  });
});

const node = (name: string, n: number, more: Partial<NodeModel>): [string, NodeModel] => [
  name,
  { ...identity(name, n), ready: true, ...more },
];
const nodes = new Map([
  node("node-a", 0, { overlay: "vxlan", vtepMac: "02:00:00:00:00:0a" }),
  node("node-b", 1, { vtepMac: "02:00:00:00:00:0b", ready: false }),
  node("plain", 2, { overlay: "host-gw" }),
  node("mute", 3, { overlay: "vxlan" }),
  node("silent", 4, {}),
]);

test("remote nodes are all others that announced the same overlay and what it needs", () => {
  const remotes = (self: string, overlay: "vxlan" | "host-gw"): string[] =>
    planRemotes({ ...empty, nodes }, self, overlay).map(({ name }) => name);
  assert.deepEqual(remotes("node-a", "vxlan"), ["node-b"]);
  assert.deepEqual(remotes("node-a", "host-gw"), ["plain"]);
});

test("a node without a route to another one says why", () => {
  const self = nodes.get("node-a") ?? assert.fail();
  const why = (name: string) => unreachedReason(self, nodes.get(name) ?? assert.fail());
  assert.equal(why("node-b"), undefined);
  assert.equal(why("plain"), "node plain is reached by host-gw, and node-a only knows vxlan");
  assert.equal(why("mute"), "node mute has not announced how its pods are reached");
  assert.equal(why("silent"), "node silent has not announced how its pods are reached");
});

test("a node that announced a tunnel end alone is one of VXLAN", () => {
  assert.equal(overlayOf({ vtepMac: mac }), "vxlan");
  assert.equal(overlayOf({}), undefined);
});

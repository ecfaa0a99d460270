import { test } from "node:test";
import assert from "node:assert/strict";
import { compile } from "#model";
import type { Snapshot } from "#model";
import {
  nodeAnnotations,
  planNode,
  planPod,
  planRemote,
  planRemotes,
  planRules,
  planUnderlay,
  podLink,
  vtepMac,
} from "./plan.ts";
import { defaultSettings } from "./settings.ts";

const nodeA = { name: "node-a", address: "172.30.0.11", podCIDR: "10.244.0.0/24" };
const nodeB = { name: "node-b", address: "172.30.0.12", podCIDR: "10.244.1.0/24" };
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

test("a node's tunnel MAC is always the same, its own, local and unicast", () => {
  assert.equal(vtepMac("node-a"), vtepMac("node-a"));
  assert.notEqual(vtepMac("node-a"), vtepMac("node-b"));
  assert.match(vtepMac("node-a"), /^02(:[0-9a-f]{2}){5}$/);
});

test("a node announces its tunnel end in Flannel's annotation", () => {
  const data: unknown = JSON.parse(nodeAnnotations(nodeA)["flannel.alpha.coreos.com/backend-data"] ?? "");
  assert.deepEqual(data, { VNI: 1, VtepMAC: vtepMac("node-a") });
});

test("the overlay device is Flannel's: VNI 1, UDP 8472, nolearning, /32 at .0, 50 bytes less MTU", () => {
  const lines = planNode(nodeA, defaultSettings);
  const device = `link add flannel.1 mtu 1450 address ${vtepMac("node-a")} type vxlan id 1 dstport 8472 local 172.30.0.11 dev eth0 nolearning`;
  assert.ok(lines.includes(device));
  assert.ok(lines.includes("address add 10.244.0.0/32 dev flannel.1"));
});

test("a smaller underlay MTU makes smaller pod links", () => {
  const settings = { ...defaultSettings, underlay: { ...defaultSettings.underlay, mtu: 1400 } };
  assert.ok(planNode(nodeA, settings).some((line) => line.startsWith("link add flannel.1 mtu 1350 ")));
});

test("a remote node is a neighbour, a forwarding entry and an onlink route", () => {
  const mac = "02:00:00:00:00:01";
  assert.deepEqual(planRemote({ ...nodeB, vtepMac: mac }), {
    ip: [
      `neighbour replace 10.244.1.0 lladdr ${mac} dev flannel.1 nud permanent`,
      "route replace 10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink",
    ],
    bridge: [`fdb replace ${mac} dev flannel.1 dst 172.30.0.12 self permanent`],
    removeIp: ["route delete 10.244.1.0/24", "neighbour delete 10.244.1.0 dev flannel.1"],
    removeBridge: [`fdb delete ${mac} dev flannel.1 dst 172.30.0.12 self`],
  });
});

test("remote nodes are all others that announced a tunnel end", () => {
  const some = { addresses: [], podCIDRs: [], ready: true };
  const nodes = new Map([
    ["node-a", { ...nodeA, ...some, vtepMac: "02:00:00:00:00:0a" }],
    ["node-b", { ...nodeB, ...some, ready: false, vtepMac: "02:00:00:00:00:0b" }],
    ["silent", { ...nodeB, ...some, name: "silent" }],
  ]);
  assert.deepEqual(
    planRemotes({ ...empty, nodes }, "node-a").map(({ name }) => name),
    ["node-b"],
  );
});

test("pod links are /32 with an on-link gateway, and both ends know their neighbour", () => {
  const link = podLink({ namespace: "default", name: "api" }, "10.244.0.2");
  const { node, pod, remove } = planPod(link, 1450, "/proc/1/fd/9");
  assert.match(link.device, /^veth[0-9a-f]{8}$/);
  assert.equal(link.mac, "0a:58:0a:f4:00:02");
  assert.ok(node.includes(`route replace 10.244.0.2 dev ${link.device} scope link`));
  assert.ok(node[0]?.endsWith("peer name eth0 mtu 1450 address 0a:58:0a:f4:00:02 netns /proc/1/fd/9"));
  assert.ok(pod.includes("address add 10.244.0.2/32 dev eth0"));
  assert.ok(pod.includes("neighbour replace 169.254.1.1 lladdr ee:ee:ee:ee:ee:ee dev eth0 nud permanent"));
  assert.deepEqual(remove, [`link delete ${link.device}`]);
});

test("masquerade rules stand in Flannel's order", () => {
  const rules = planRules(nodeA, defaultSettings)
    .split("\n")
    .flatMap((line) => /^ +((?:meta mark|ip saddr).*?) comment/.exec(line)?.[1] ?? []);
  assert.deepEqual(rules, [
    "meta mark & 0x4000 == 0x4000 return",
    "ip saddr 10.244.0.0/24 ip daddr 10.244.0.0/16 return",
    "ip saddr 10.244.0.0/16 ip daddr 10.244.0.0/24 return",
    "ip saddr != 10.244.0.0/24 ip daddr 10.244.0.0/24 return",
    "ip saddr 10.244.0.0/16 ip daddr != 224.0.0.0/4 masquerade fully-random",
    "ip saddr != 10.244.0.0/16 ip daddr 10.244.0.0/16 masquerade fully-random",
  ]);
});

test("the underlay leads to every node and to its pods, with device names the kernel takes", () => {
  const node = { ...nodeA, name: "a-node-with-a-rather-long-name.example.com" };
  const lines = planUnderlay(defaultSettings, [{ node, path: "/proc/1/fd/7" }]);
  assert.ok(lines.includes("route add 10.244.0.0/24 via 172.30.0.11 dev inroad0"));
  const names = lines.flatMap((line) => /^link add (\S+)/.exec(line)?.[1] ?? []);
  assert.ok(names.every((name) => name.length <= 15));
});

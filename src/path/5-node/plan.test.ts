import { test } from "node:test";
import assert from "node:assert/strict";
import { planAttachment, planBridge, planDetachment, planNode, podMtu } from "./plan.ts";
import { linkFor, planPod, podLink } from "./pod-link.ts";
import { planRules } from "./rules.ts";
import { defaultSettings, networkSettings } from "./settings.ts";
import { optionalSysctls, podSysctls, routerSysctls } from "./sysctls.ts";
import { dualNode, nodeA } from "./testing.ts";

const dual = networkSettings(["IPv4", "IPv6"], "vxlan");

test("a node has its address, the way out, and no route for addresses of the pod network that nobody has", () => {
  assert.deepEqual(planNode(nodeA, { ...defaultSettings, overlay: "host-gw" }), [
    "link set lo up",
    "address add 172.30.0.11/24 dev eth0",
    "link set eth0 up",
    "route add default via 172.30.0.1 dev eth0",
    "route add 203.0.113.0/24 via 172.30.0.2 dev eth0",
    "route add unreachable 10.244.0.0/24",
    "route add unreachable 10.244.0.0/16",
  ]);
});

test("a dual-stack node has all of it in both families", () => {
  const added = planNode(dualNode, dual).filter((line) => !planNode(nodeA, defaultSettings).includes(line));
  assert.deepEqual(added, [
    "address add fd00:172:30::11/64 dev eth0 nodad",
    "route add default via fd00:172:30::1 dev eth0",
    "route add 2001:db8:203:113::/64 via fd00:172:30::2 dev eth0",
    "route add unreachable fd00:10:244::/64",
    "route add unreachable fd00:10:244::/56",
  ]);
});

test("a smaller underlay makes smaller pod links: 50 bytes less with VXLAN, none with plain routes", () => {
  const settings = { ...defaultSettings, underlay: { ...defaultSettings.underlay, mtu: 1400 } };
  assert.equal(podMtu(settings), 1350);
  assert.equal(podMtu({ ...settings, overlay: "host-gw" }), 1400);
});

test("pod links are host addresses with an on-link gateway, and both ends know their neighbour", () => {
  const link = podLink({ namespace: "default", name: "api" }, ["10.244.0.2"]);
  const { node, pod, remove } = planPod(link, 1450, "/proc/1/fd/9");
  assert.match(link.device, /^veth[0-9a-f]{8}$/);
  assert.equal(link.mac, "0a:58:0a:f4:00:02");
  assert.ok(node.includes(`route replace 10.244.0.2 dev ${link.device} scope link`));
  assert.ok(node[0]?.endsWith("peer name eth0 mtu 1450 address 0a:58:0a:f4:00:02 netns /proc/1/fd/9"));
  assert.ok(pod.includes("address add 10.244.0.2/32 dev eth0"));
  assert.ok(pod.includes("neighbour replace 169.254.1.1 lladdr ee:ee:ee:ee:ee:ee dev eth0 nud permanent"));
  assert.deepEqual(remove, [`link delete ${link.device}`]);
});

test("a pod with two addresses has both on one link, each with a gateway", () => {
  const link = podLink({ namespace: "default", name: "api" }, ["10.244.0.2", "fd00:10:244::2"]);
  const { node, pod } = planPod(link, 1450, "/proc/1/fd/9");
  assert.ok(
    node.includes(`neighbour replace fd00:10:244::2 lladdr ${link.mac} dev ${link.device} nud permanent`),
  );
  assert.ok(node.includes(`route replace fd00:10:244::2 dev ${link.device} metric 1024`));
  assert.deepEqual(
    pod.filter((line) => line.includes("::")),
    [
      "address add fd00:10:244::2/128 dev eth0 nodad",
      "neighbour replace fe80::1 lladdr ee:ee:ee:ee:ee:ee dev eth0 nud permanent",
      "route add fe80::1 dev eth0",
      "route add default via fe80::1 dev eth0",
    ],
  );
});

test("without IPv4 the MAC is made of the IPv6 address, and the pod's end may have any name", () => {
  const link = linkFor("another", ["fd00:10:244::1:2"]);
  assert.equal(link.mac, "0a:58:00:01:00:02");
  const { node, pod } = planPod(link, 1450, "/proc/1/fd/9", "net1");
  assert.ok(![...node, ...pod].some((line) => line.includes("eth0")));
  assert.ok(pod.includes("route add default via fe80::1 dev net1"));
});

function masquerade(rules: string, family: string): string[] {
  const table = rules.slice(rules.indexOf(`\ntable ${family} `));
  return table
    .slice(0, table.indexOf("chain evidence"))
    .split("\n")
    .flatMap((line) => /^ +((?:meta mark|ip6? saddr).*?) comment/.exec(line)?.[1] ?? []);
}

test("masquerade rules stand in Flannel's order", () => {
  assert.deepEqual(masquerade(planRules(nodeA, defaultSettings), "ip"), [
    "meta mark & 0x4000 == 0x4000 return",
    "ip saddr 10.244.0.0/24 ip daddr 10.244.0.0/16 return",
    "ip saddr 10.244.0.0/16 ip daddr 10.244.0.0/24 return",
    "ip saddr != 10.244.0.0/24 ip daddr 10.244.0.0/24 return",
    "ip saddr 10.244.0.0/16 ip daddr != 224.0.0.0/4 masquerade fully-random",
    "ip saddr != 10.244.0.0/16 ip daddr 10.244.0.0/16 masquerade fully-random",
  ]);
});

test("a second family has the same rules in a table of its own; without it there is no such table", () => {
  const ours = (text: string): string =>
    text
      .replaceAll("fd00:10:244::/64", "10.244.0.0/24")
      .replaceAll("fd00:10:244::/56", "10.244.0.0/16")
      .replaceAll("ff00::/8", "224.0.0.0/4")
      .replaceAll("ip6", "ip");
  const rules = planRules(dualNode, dual);
  assert.deepEqual(masquerade(rules, "ip6").map(ours), masquerade(rules, "ip"));
  assert.ok(!planRules(nodeA, defaultSettings).includes("ip6"));
});

test("the underlay leads to every node and to its pods, with device names the kernel takes", () => {
  const node = { ...dualNode, name: "a-node-with-a-rather-long-name.example.com" };
  const lines = [...planBridge(dual), ...planAttachment(node, "/proc/1/fd/7", dual)];
  assert.ok(lines.includes("address add fd00:172:30::1/64 dev inroad0 nodad"));
  const routes = [
    "10.244.0.0/24 via 172.30.0.11 dev inroad0",
    "fd00:10:244::/64 via fd00:172:30::11 dev inroad0",
  ];
  for (const route of routes) assert.ok(lines.includes(`route add ${route}`), route);
  const names = lines.flatMap((line) => /^link add (\S+)/.exec(line)?.[1] ?? []);
  assert.ok(names.every((name) => name.length <= 15));
  assert.deepEqual(planDetachment(node).slice(0, 2), [
    "route delete 10.244.0.0/24",
    "route delete fd00:10:244::/64",
  ]);
});

test("IPv6 is switched off in a cluster without it, and not delayed in a cluster with it", () => {
  assert.equal(optionalSysctls(defaultSettings)["net/ipv6/conf/default/disable_ipv6"], "1");
  assert.deepEqual(
    Object.keys({ ...routerSysctls(defaultSettings), ...podSysctls(defaultSettings) }).filter((key) =>
      key.includes("ipv6"),
    ),
    [],
  );
  assert.equal(optionalSysctls(dual)["net/ipv6/conf/default/disable_ipv6"], "0");
  assert.equal(routerSysctls(dual)["net/ipv6/conf/all/forwarding"], "1");
  assert.equal(podSysctls(dual)["net/ipv6/conf/default/accept_dad"], "0");
});

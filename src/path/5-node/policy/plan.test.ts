import assert from "node:assert/strict";
import { test } from "node:test";
import { policy, worldSnapshot, type WorldChanges } from "../../../../test/support/policy-world.ts";
import { planPolicy } from "./plan.ts";
import type { TableContent } from "./plan.ts";

function table(
  policies: Parameters<typeof worldSnapshot>[0],
  node = "node-a",
  changes?: WorldChanges,
): TableContent {
  const [first] = planPolicy(worldSnapshot(policies, changes), node);
  assert.ok(first);
  assert.equal(first.family, "IPv4");
  return first;
}

const elements = ({ sets }: TableContent, name: string): string[] =>
  [...(sets.get(name)?.elements ?? [])].sort();
const rules = ({ chains }: TableContent, name: string): readonly string[] | undefined => chains.get(name);
const onlyA = { podSelector: { matchLabels: { pod: "a" } } };

test("a node without isolated pods has no table", () => {
  assert.deepEqual(planPolicy(worldSnapshot([]), "node-a"), []);
  // Pod a of z lives on node-b.
  assert.deepEqual(planPolicy(worldSnapshot([policy("z/deny", onlyA)]), "node-a"), []);
  assert.equal(planPolicy(worldSnapshot([policy("z/deny", onlyA)]), "node-b").length, 2);
});

test("isolated pods are led to the policies of their namespace and dropped behind them", () => {
  const content = table([policy("x/deny", {}), policy("x/web", { ...onlyA, ingress: [{}] })]);
  assert.deepEqual(rules(content, "egress"), []);
  assert.deepEqual(rules(content, "ingress"), [
    "ct state established,related accept",
    "fib saddr type local accept",
    "ip saddr . ip daddr @itself accept",
    "ip daddr @isolated/x/ingress goto isolated/x/ingress",
  ]);
  assert.deepEqual(rules(content, "isolated/x/ingress"), [
    "ip daddr @policy/x/deny/pods jump policy/x/deny/ingress",
    "ip daddr @policy/x/web/pods jump policy/x/web/ingress",
    "update @denied-ingress { ip saddr . th sport . ip daddr . th dport . meta l4proto }",
    "drop",
  ]);
  assert.deepEqual(rules(content, "policy/x/deny/ingress"), []);
  assert.deepEqual(rules(content, "policy/x/web/ingress"), ["accept"]);
  // Pods of this node only: xc lives on node-b.
  assert.deepEqual(elements(content, "isolated/x/ingress"), ["10.244.0.10", "10.244.0.11"]);
  assert.deepEqual(elements(content, "policy/x/web/pods"), ["10.244.0.10"]);
  assert.deepEqual(elements(content, "itself"), ["10.244.0.10 . 10.244.0.10", "10.244.0.11 . 10.244.0.11"]);
});

test("egress looks at the source and asks for the destination", () => {
  const to = [{ namespaceSelector: { matchLabels: { ns: "y" } } }];
  const content = table([policy("x/out", { ...onlyA, policyTypes: ["Egress"], egress: [{ to }] })]);
  assert.deepEqual(rules(content, "ingress"), []);
  assert.equal(
    rules(content, "isolated/x/egress")?.[0],
    "ip saddr @policy/x/out/pods jump policy/x/out/egress",
  );
  assert.deepEqual(rules(content, "policy/x/out/egress"), ["ip daddr @policy/x/out/egress/0/peers accept"]);
  // Peers live anywhere.
  assert.deepEqual(elements(content, "policy/x/out/egress/0/peers"), [
    "10.244.0.20",
    "10.244.0.22",
    "10.244.1.21",
  ]);
});

test("peers and ports multiply: a rule for each pair", () => {
  const from = [{ podSelector: {} }, { ipBlock: { cidr: "10.0.0.0/8", except: ["10.128.0.0/9"] } }];
  const ports = [
    { port: 80 },
    { port: 443 },
    { protocol: "UDP", port: 5000, endPort: 5009 },
    { protocol: "SCTP" },
    { port: "serve-81-tcp" },
  ];
  const content = table([policy("x/web", { ...onlyA, ingress: [{ from, ports }] })]);
  const peers = ["ip saddr @policy/x/web/ingress/0/peers", "ip saddr { 10.0.0.0-10.127.255.255 }"];
  const matches = [
    "tcp dport { 80, 443 }",
    "udp dport { 5000-5009 }",
    "meta l4proto sctp",
    "ip daddr . meta l4proto . th dport @policy/x/web/ingress/0/ports",
  ];
  assert.deepEqual(
    rules(content, "policy/x/web/ingress"),
    peers.flatMap((peer) => matches.map((match) => `${peer} ${match} accept`)),
  );
  assert.deepEqual(elements(content, "policy/x/web/ingress/0/ports"), ["10.244.0.10 . tcp . 81"]);
});

test("a named port for egress has the numbers of all pods that may be meant", () => {
  const ports = [{ protocol: "UDP", port: "serve-80-udp" }];
  const to = [{ namespaceSelector: { matchLabels: { ns: "y" } } }];
  const spec = { ...onlyA, policyTypes: ["Egress"], egress: [{ to, ports }, { ports }] };
  const content = table([policy("x/out", spec)]);
  assert.equal(elements(content, "policy/x/out/egress/0/ports").length, 3);
  assert.equal(elements(content, "policy/x/out/egress/1/ports").length, 9);
});

test("each family has a table with its own addresses and blocks", () => {
  const from = [{ ipBlock: { cidr: "fd00::/16" } }, { ipBlock: { cidr: "192.0.2.0/24" } }];
  const tables = planPolicy(worldSnapshot([policy("x/web", { ...onlyA, ingress: [{ from }] })]), "node-a");
  assert.deepEqual(
    tables.map((one) => [one.family, rules(one, "policy/x/web/ingress"), elements(one, "policy/x/web/pods")]),
    [
      ["IPv4", ["ip saddr { 192.0.2.0-192.0.2.255 } accept"], ["10.244.0.10"]],
      ["IPv6", ["ip6 saddr { fd00::-fd00:ffff:ffff:ffff:ffff:ffff:ffff:ffff } accept"], ["fd00:10:244::10"]],
    ],
  );
});

test("the longest names that Kubernetes allows fit, and differ where the names do", () => {
  const long = (end: string): string => `${"a".repeat(252)}${end}`;
  const spec = { ...onlyA, ingress: [{ from: [{ podSelector: {} }] }] };
  const content = table([policy(`x/${long("a")}`, spec), policy(`x/${long("b")}`, spec)]);
  const names = [...content.sets.keys(), ...content.chains.keys()];
  assert.ok(names.every((name) => name.length < 256 && /^[a-zA-Z][\w./-]*$/.test(name)));
  assert.equal(new Set(content.chains.keys()).size, 5);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Fault, FaultKind, NodeModel } from "#model";
import { faultScript } from "./fault-rules.ts";

const node = (name: string, index: number): [string, NodeModel] => {
  const [address, podCIDR] = [`172.30.0.${11 + index}`, `10.244.${index}.0/24`];
  const addresses = [address, `fd00::${11 + index}`];
  return [name, { name, address, addresses, podCIDR, podCIDRs: [podCIDR], ready: true }];
};
const nodes = new Map([node("a", 0), node("b", 1)]);
const scriptOf = (name: string, ...kinds: readonly FaultKind[]): string =>
  faultScript(
    name,
    kinds.map((kind, index): Fault => ({ id: index + 1, since: "now", ...kind })),
    nodes,
  );
const nothing = "add table inet inroad-fault\ndelete table inet inroad-fault\n";

test("without faults of the node nothing is left", () => {
  assert.equal(scriptOf("a"), nothing);
  assert.equal(scriptOf("a", { kind: "loss", node: "b", percent: 5 }), nothing);
  assert.equal(scriptOf("a", { kind: "node-down", node: "a" }), nothing);
});

test("a partition drops what comes from and goes to the other node and its pods, at both of them", () => {
  const fault: FaultKind = { kind: "partition", node: "a", other: "b" };
  const script = scriptOf("a", fault);
  for (const address of ["ip saddr 172.30.0.12", "ip6 saddr fd00::12", "ip saddr 10.244.1.0/24"]) {
    assert.ok(script.includes(`iifname "eth0" ${address} counter drop`), address);
  }
  assert.ok(script.includes('oifname "eth0" ip daddr 172.30.0.12 counter drop'));
  assert.ok(scriptOf("b", fault).includes('oifname "eth0" ip daddr 172.30.0.11 counter drop'));
});

test("loss draws a lot for each packet, both ways, to hundredths of a percent", () => {
  const script = scriptOf("a", { kind: "loss", node: "a", percent: 12.5 });
  assert.ok(script.includes('iifname "eth0" numgen random mod 10000 < 1250 counter drop'));
  assert.ok(script.includes('oifname "eth0" numgen random mod 10000 < 1250 counter drop'));
});

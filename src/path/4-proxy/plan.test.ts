import { test } from "node:test";
import assert from "node:assert/strict";
import { planProxy } from "./plan.ts";
import type { ProxyPlan, VirtualAddress } from "./plan.ts";
import { backendKey } from "./rotation.ts";
import { testSnapshot } from "./testing.ts";
import type { TestService } from "./testing.ts";

const a1 = { address: "10.244.0.2", node: "node-a" };
const a2 = { address: "10.244.0.3", node: "node-a" };
const b1 = { address: "10.244.1.2", node: "node-b" };
const manual = { address: "192.0.2.7" };
const down = { ready: false };
const leaving = { ready: false, serving: true, terminating: true };

const api = {
  name: "api",
  clusterIP: "10.96.0.7",
  type: "LoadBalancer",
  nodePort: 30080,
  loadBalancerIP: "203.0.113.200",
} as const;

function planOf(more: Partial<TestService>, node = "node-a"): ProxyPlan {
  return planProxy(testSnapshot({ ...api, endpoints: [], ...more }), node);
}

const name = (target: VirtualAddress["target"]): string =>
  target.kind !== "list" ? target.kind : target.list.endsWith(" local") ? "local" : "all";

/** `everybody -> all`, `node-only -> local, inside all`, `not-pods -> reject` */
function told(at: VirtualAddress | undefined): string {
  const inside = at?.inside === undefined ? "" : `, inside ${name(at.inside)}`;
  return at === undefined ? "none" : `${at.masquerade} -> ${name(at.target)}${inside}`;
}

const local = { externalTrafficPolicy: "Local" } as const;
const rows: readonly {
  readonly what: string;
  readonly service: Partial<TestService>;
  readonly clusterIP: string;
  /** NodePort and load-balancer address. */
  readonly external: string;
}[] = [
  {
    what: "endpoints on both nodes",
    service: { endpoints: [a1, b1] },
    clusterIP: "not-pods -> all",
    external: "everybody -> all",
  },
  { what: "no endpoints", service: {}, clusterIP: "not-pods -> reject", external: "everybody -> reject" },
  {
    what: "none ready",
    service: { endpoints: [{ ...a1, ...down }] },
    clusterIP: "not-pods -> reject",
    external: "everybody -> reject",
  },
  {
    what: "only terminating ones serve",
    service: { endpoints: [{ ...a1, ...leaving }] },
    clusterIP: "not-pods -> all",
    external: "everybody -> all",
  },
  {
    what: "external Local",
    service: { endpoints: [a1, b1], ...local },
    clusterIP: "not-pods -> all",
    external: "node-only -> local, inside all",
  },
  {
    what: "external Local, all are local",
    service: { endpoints: [a1, a2], ...local },
    clusterIP: "not-pods -> all",
    external: "node-only -> all, inside all",
  },
  {
    what: "external Local, none is local",
    service: { endpoints: [b1], ...local },
    clusterIP: "not-pods -> all",
    external: "node-only -> drop, inside all",
  },
  {
    what: "external Local, none at all",
    service: local,
    clusterIP: "not-pods -> reject",
    external: "node-only -> reject, inside reject",
  },
  {
    what: "internal Local",
    service: { endpoints: [a1, b1], internalTrafficPolicy: "Local" },
    clusterIP: "not-pods -> local",
    external: "everybody -> all",
  },
  {
    what: "internal Local, none is local",
    service: { endpoints: [b1], internalTrafficPolicy: "Local" },
    clusterIP: "not-pods -> drop",
    external: "everybody -> all",
  },
];
for (const { what, service, clusterIP, external } of rows) {
  test(`addresses of a Service: ${what}`, () => {
    const { addresses } = planOf(service);
    assert.equal(told(addresses.get("10.96.0.7 . tcp . 80")), clusterIP);
    assert.equal(told(addresses.get("172.30.0.11 . tcp . 30080")), external);
    assert.equal(told(addresses.get("203.0.113.200 . tcp . 80")), external);
    assert.equal(addresses.size, 3);
  });
}

test("a node port is opened at the node's own address only, and nowhere if the node is not known", () => {
  assert.ok(planOf({ endpoints: [a1] }, "node-b").addresses.has("172.30.0.12 . tcp . 30080"));
  const elsewhere = planOf({ endpoints: [a1] }, "node-x").addresses;
  assert.deepEqual([...elsewhere.keys()], ["10.96.0.7 . tcp . 80", "203.0.113.200 . tcp . 80"]);
});

test("endpoints of this node, and those of no known node, may meet themselves", () => {
  assert.deepEqual(planOf({ endpoints: [a1, b1, manual] }).hairpin, ["10.244.0.2", "192.0.2.7"]);
});

test("the same port number for TCP and UDP makes two lists", () => {
  const tcp = { name: "dns", clusterIP: "10.96.0.10", port: 53, endpoints: [a1] };
  const plan = planProxy(testSnapshot(tcp, { ...tcp, name: "dns-udp", protocol: "UDP" }), "node-a");
  assert.deepEqual([...plan.addresses.keys()], ["10.96.0.10 . tcp . 53", "10.96.0.10 . udp . 53"]);
  assert.deepEqual([...plan.lists.keys()], ["default/dns:http/TCP", "default/dns-udp:http/UDP"]);
});

test("of two Services that claim one address the first by name has it", () => {
  const claim = { clusterIP: "10.96.0.9", endpoints: [a1] };
  const plan = planProxy(testSnapshot({ name: "b", ...claim }, { name: "a", ...claim }), "node-a");
  assert.equal(plan.addresses.get("10.96.0.9 . tcp . 80")?.servicePort, "default/a:http/TCP");
});

test("the order in force is kept from plan to plan", () => {
  const key = "default/api:http/TCP";
  const slots = [b1, a2, a1].map(({ address }) => ({ address, port: 8080 }));
  const snapshot = testSnapshot({ ...api, endpoints: [a1, a2, manual] });
  const plan = planProxy(snapshot, "node-a", new Map([[key, { slots, next: 1 }]]));
  assert.deepEqual(plan.lists.get(key)?.slots.map(backendKey), [
    "192.0.2.7:8080",
    "10.244.0.3:8080",
    "10.244.0.2:8080",
  ]);
});

test("health checks count ready endpoints of this node, and exist for policy Local only", () => {
  const service = { endpoints: [a1, { ...a2, ...leaving }, b1], healthCheckNodePort: 32000 };
  assert.deepEqual(planOf({ ...service, ...local }).healthChecks, [
    { namespace: "default", name: "api", port: 32000, localEndpoints: 1 },
  ]);
  assert.deepEqual(planOf(service).healthChecks, []);
});

test("headless Services have no rules", () => {
  const plan = planProxy(
    testSnapshot({ name: "db", clusterIP: "None", endpoints: [{ address: "10.244.0.2" }] }),
    "node-a",
  );
  assert.equal(plan.addresses.size, 0);
  assert.equal(plan.lists.size, 0);
});

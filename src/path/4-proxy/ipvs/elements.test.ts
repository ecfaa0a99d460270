import { test } from "node:test";
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { planProxy } from "../plan.ts";
import type { ProxyPlan } from "../plan.ts";
import { testSnapshot } from "../testing.ts";
import type { TestService } from "../testing.ts";
import { changeScript, elementsFor } from "./elements.ts";
import type { Elements } from "./elements.ts";
import { frameRules, frameScript } from "./frame.ts";
import { allotMarks, protocolOf } from "./names.ts";

const api: TestService = {
  name: "api",
  clusterIP: "10.96.0.7",
  type: "LoadBalancer",
  nodePort: 30080,
  loadBalancerIP: "203.0.113.200",
  endpoints: [
    { address: "10.244.0.2", node: "node-a" },
    { address: "10.244.1.2", node: "node-b" },
  ],
};

function planOf(...services: readonly TestService[]): ProxyPlan {
  return planProxy(testSnapshot(...services), "node-a");
}

function of(plan: ProxyPlan): { readonly elements: Elements; readonly mark: (list: string) => string } {
  const marks = allotMarks(plan.lists.values(), new Map());
  const mark = (list: string): string => `0x${marks.get(list)?.toString(16)}`;
  return { elements: elementsFor(plan, "IPv4", marks), mark };
}

test("all addresses of a Service port lead to one virtual server, and say whose source is rewritten", () => {
  const { elements, mark } = of(planOf(api));
  const server = mark("default/api:http/TCP");
  assert.deepEqual(
    [...(elements.get("marks") ?? [])],
    [
      ["10.96.0.7 . tcp . 80", server],
      ["172.30.0.11 . tcp . 30080", server],
      ["203.0.113.200 . tcp . 80", server],
    ],
  );
  assert.deepEqual([...(elements.get("masquerade-not-pods")?.keys() ?? [])], [`10.96.0.7 . ${server}`]);
  assert.equal(elements.get("masquerade-everybody")?.size, 2);
  assert.deepEqual([...(elements.get("service-ips")?.keys() ?? [])], ["10.96.0.7", "203.0.113.200"]);
});

test("a load balancer that says it has the addresses of nodes takes none of them away", () => {
  for (const loadBalancerIP of ["172.30.0.11", "172.30.0.12"]) {
    const { elements } = of(planOf({ ...api, loadBalancerIP }));
    assert.deepEqual([...(elements.get("service-ips")?.keys() ?? [])], ["10.96.0.7"]);
  }
});

test("policy Local leads outsiders to the endpoints of the node, and pods and the node to all", () => {
  const { elements, mark } = of(planOf({ ...api, externalTrafficPolicy: "Local" }));
  const key = "203.0.113.200 . tcp . 80";
  assert.equal(elements.get("marks")?.get(key), mark("default/api:http/TCP local"));
  assert.equal(elements.get("marks-inside")?.get(key), mark("default/api:http/TCP"));
});

test("without endpoints an address is refused; with some elsewhere, policy Local drops", () => {
  const none = of(planOf({ ...api, endpoints: [] })).elements;
  assert.equal(none.get("refused")?.get("10.96.0.7 . tcp . 80"), "goto reject-it");
  const elsewhere = { ...api, externalTrafficPolicy: "Local" as const, endpoints: api.endpoints.slice(1) };
  const local = of(planOf(elsewhere)).elements;
  assert.equal(local.get("refused")?.get("203.0.113.200 . tcp . 80"), "drop");
  assert.ok(local.get("marks-inside")?.has("203.0.113.200 . tcp . 80"));
});

test("source ranges bind the load-balancer address; the node comes to it from that address itself", () => {
  const sourceRanges = ["10.0.0.0/8", "10.1.0.0/16", "172.30.0.0/24"];
  const { elements } = of(planOf({ ...api, sourceRanges }));
  const key = "203.0.113.200 . tcp . 80";
  assert.deepEqual([...(elements.get("restricted")?.keys() ?? [])], [key]);
  assert.deepEqual(
    new Set(elements.get("source-ranges")?.keys()),
    new Set([`${key} . 10.0.0.0/8`, `${key} . 172.30.0.0/24`, `${key} . 203.0.113.200/32`]),
  );
});

test("a change says only what differs, and nothing changes nothing", () => {
  const before = of(planOf(api)).elements;
  assert.equal(changeScript("IPv4", before, before), "");
  const script = changeScript(
    "IPv4",
    before,
    of(planOf(api, { ...api, name: "b", clusterIP: "10.96.0.9" })).elements,
  );
  for (const line of script.split("\n"))
    assert.match(line, /^add element ip inroad-proxy \S+ \{ .*10\.96\.0\.9/);
});

test("every set that elements go to is in the table, and only the own tables are named", () => {
  for (const family of ["IPv4", "IPv6"] as const) {
    const script = frameScript(family);
    const table = family === "IPv4" ? "ip" : "ip6";
    for (const line of script.split("\n")) {
      assert.match(line, new RegExp(`^(add|delete) \\w+ ${table} inroad-proxy( |$)`));
    }
    assert.equal(
      [...frameRules(family).values()].reduce((sum, n) => sum + n, 0),
      script.match(/^add rule/gm)?.length,
    );
    const made = [...script.matchAll(/^add (?:set|map) \S+ \S+ (\S+)/gm)].map(([, name]) => name);
    const policies = ["Cluster", "Local"] as const;
    for (const externalTrafficPolicy of policies) {
      const names = of(planOf({ ...api, externalTrafficPolicy })).elements.keys();
      for (const name of names) assert.ok(made.includes(name), name);
    }
  }
});

test("marks are apart, stay, tell the protocol, and leave kube-proxy's bits alone", () => {
  const keys = fc.uniqueArray(
    fc.tuple(fc.string(), fc.constantFrom("TCP" as const, "UDP" as const, "SCTP" as const)),
    {
      selector: ([key]) => key,
    },
  );
  fc.assert(
    fc.property(keys, keys, (some, more) => {
      const lists = (all: typeof some) =>
        all.map(([key, protocol]) => ({
          key,
          protocol,
          family: "IPv4" as const,
          scheduler: "rr" as const,
          slots: [],
        }));
      const first = allotMarks(lists(some), new Map());
      const marks = allotMarks(lists(more), first);
      assert.equal(new Set(marks.values()).size, marks.size);
      for (const [key, mark] of first) assert.equal(marks.get(key), mark);
      for (const [key, protocol] of some) assert.equal(protocolOf(first.get(key) ?? 0), protocol);
      for (const mark of marks.values()) assert.equal(mark & 0xc000, 0);
    }),
  );
  assert.equal(protocolOf(0x4000), undefined);
  assert.equal(protocolOf(0x43000001), undefined);
});

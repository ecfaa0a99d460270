import assert from "node:assert/strict";
import { test } from "node:test";
import type { ProxyPlan, VirtualAddress } from "../plan.ts";
import { decide } from "./decide.ts";

const node = "172.30.0.11";
const plan: ProxyPlan = {
  node: "node-a",
  families: ["IPv4"],
  nodeAddresses: [],
  serviceNetworks: ["10.96.0.0/16"],
  podNetworks: ["10.244.0.0/24", "10.244.1.0/24", "fd00:10:244::/64"],
  lists: new Map(),
  addresses: new Map(),
  hairpin: [],
  healthChecks: [],
};
const base = {
  servicePort: "default/api:http/TCP",
  address: "10.96.0.7",
  protocol: "TCP",
  port: 80,
} as const;
const list = (name: string) => ({ kind: "list", list: name }) as const;
const clusterIP: VirtualAddress = { ...base, kind: "ClusterIP", target: list("all"), masquerade: "not-pods" };
const cluster: VirtualAddress = {
  ...base,
  kind: "LoadBalancer",
  target: list("all"),
  masquerade: "everybody",
};
const local: VirtualAddress = {
  ...base,
  kind: "LoadBalancer",
  target: { kind: "drop" },
  inside: list("all"),
  masquerade: "node-only",
};

const cases: readonly {
  readonly what: string;
  readonly at: VirtualAddress;
  readonly from: string;
  /** `list source`, seen by an endpoint at 10.244.1.9. */
  readonly expect: string;
}[] = [
  {
    what: "a pod at a ClusterIP keeps its address",
    at: clusterIP,
    from: "10.244.0.5",
    expect: "all 10.244.0.5",
  },
  { what: "an outsider at a ClusterIP does not", at: clusterIP, from: "203.0.113.10", expect: `all ${node}` },
  { what: "nor does the node", at: clusterIP, from: node, expect: `all ${node}` },
  { what: "a pod that meets itself is the node", at: clusterIP, from: "10.244.1.9", expect: `all ${node}` },
  { what: "policy Cluster rewrites everybody", at: cluster, from: "10.244.0.5", expect: `all ${node}` },
  { what: "policy Local drops outsiders", at: local, from: "203.0.113.10", expect: "drop" },
  {
    what: "and serves pods, who keep their address",
    at: local,
    from: "10.244.0.5",
    expect: "all 10.244.0.5",
  },
  { what: "and the node", at: local, from: node, expect: `all ${node}` },
  {
    what: "a source that is not in the ranges is dropped",
    at: { ...cluster, sourceRanges: ["198.51.100.0/24"] },
    from: "203.0.113.10",
    expect: "drop",
  },
  {
    what: "one in a range is served",
    at: { ...cluster, sourceRanges: ["2001:db8::/32", "203.0.113.0/28"] },
    from: "203.0.113.10",
    expect: `all ${node}`,
  },
  {
    what: "no range at all lets nobody in",
    at: { ...cluster, sourceRanges: [] },
    from: "10.244.0.5",
    expect: "drop",
  },
];

for (const { what, at, from, expect } of cases) {
  test(what, () => {
    const decision = decide(plan, at, from, node);
    const said =
      decision.kind === "list" ? `${decision.list} ${decision.sourceTo("10.244.1.9")}` : decision.kind;
    assert.equal(said, expect);
  });
}

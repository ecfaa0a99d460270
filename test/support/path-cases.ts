/** Clusters and flows in which prediction and packet once disagreed, made small: each by the fact that it shows. */
import type { TestEndpoint, TestService } from "../../src/path/4-proxy/testing.ts";
import { pathPods, type PathCase, type PathFlow } from "./path-world.ts";

/** An endpoint at a pod, `x/a`. */
function at(key: string, more: Partial<TestEndpoint> = {}, family: "ipv4" | "ipv6" = "ipv4"): TestEndpoint {
  const pod = pathPods.find((one) => one.key === key);
  if (pod === undefined) throw new Error(`no pod ${key}`);
  return { address: pod[family], node: pod.node, pod: key, targetPort: 80, ...more };
}

/** With an address of every kind, in both families. */
function web(endpoints: readonly TestEndpoint[], more: Partial<TestService> = {}): TestService {
  return {
    name: "web",
    type: "LoadBalancer",
    clusterIP: "10.96.0.7",
    secondClusterIP: "fd00:10:96::7",
    loadBalancerIP: "203.0.113.200",
    secondLoadBalancerIP: "2001:db8:203:113:8000::200",
    ports: [{ name: "http", port: 80, nodePort: 30_080 }],
    endpoints,
    ...more,
  };
}

const local = { externalTrafficPolicy: "Local", healthCheckNodePort: 31_000 } as const;

function flow(from: PathFlow["from"], to: string, port = 80): PathFlow {
  return { from, to, port, protocol: "TCP" };
}

export const pathCases: readonly (PathCase & { readonly name: string })[] = [
  {
    name: "from outside, a node's own address leads to its node ports",
    services: [web([at("x/a"), at("y/b")])],
    flows: [flow("internet", "172.30.0.11", 30_080), flow("internet", "172.30.0.12", 30_080)],
  },
  {
    name: "a node port of another node is served by that node, which sees the pod's node",
    services: [web([at("x/a"), at("y/b")], local)],
    flows: (["pod/x/b", "node/node-b"] as const).flatMap((from) =>
      ["172.30.0.11", "172.30.0.12", "172.30.0.13"].map((to) => flow(from, to, 30_080)),
    ),
  },
  {
    name: "what a node masquerades into the tunnel arrives with the address of its tunnel end",
    services: [web([at("x/a"), at("x/a", {}, "ipv6")])],
    flows: ["10.96.0.7", "fd00:10:96::7"].flatMap((to) => [flow("node/node-b", to), flow("node/node-a", to)]),
  },
  {
    name: "the load balancer turns to endpoints that serve while they terminate where no node has others",
    services: [web([at("x/b", { ready: false, serving: true, terminating: true })], local)],
    flows: [flow("internet", "203.0.113.200")],
  },
  {
    name: "a node that is about to leave gets nothing from the load balancer",
    services: [web([at("x/a"), at("y/b")])],
    nodes: { "node-a": "leaving", "node-b": "leaving" },
    flows: [flow("internet", "203.0.113.200"), flow("internet", "2001:db8:203:113:8000::200")],
  },
  {
    name: "endpoints of the second family alone do not make a node healthy for the load balancer",
    services: [web([at("x/a", {}, "ipv6"), at("y/b")], local)],
    flows: [flow("internet", "203.0.113.200"), flow("internet", "2001:db8:203:113:8000::200")],
  },
];

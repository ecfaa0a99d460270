/** The example request's prediction and the evidence that a healthy cluster gives of it. */
import type { Snapshot } from "#model";
import type { Pick } from "#path";
import { predict, type Prediction } from "../../src/trace/predict.ts";
import type { Observations, TrackedConnection } from "../../src/trace/types.ts";
import { exampleSnapshot, vip } from "./snapshot.ts";

export const request = {
  url: "https://api.hadywafa.com/api/v1/resource",
  method: "GET",
  headers: {},
  from: "internet",
};

/** The example request through the example cluster. */
export function predictExample(
  pick?: Pick,
  snapshot: Snapshot = exampleSnapshot(),
  from = request,
): Prediction {
  return predict(snapshot, from, pick);
}

const tuple = (source: string, sourcePort: number, destination: string, destinationPort: number) => ({
  source,
  sourcePort,
  destination,
  destinationPort,
});

/** `from -> to`, answered by `by`. */
export function tracked(
  from: readonly [string, number],
  to: readonly [string, number],
  by: readonly [string, number],
  leftBy: "overlay" | "pod" = "pod",
): TrackedConnection {
  const state = "TIME_WAIT";
  return { protocol: "tcp", state, original: tuple(...from, ...to), reply: tuple(...by, ...from), leftBy };
}

export const client = ["203.0.113.10", 51544] as const;
export const upstream = ["10.244.0.3", 41234] as const;
const clusterIP = ["10.96.1.1", 80] as const;

/** The request went to node-a, its ingress pod, and from there to api-3 on node-b. */
export const healthy = {
  client: {
    dns: { outcome: "answered", records: [{ type: "A", address: vip }] },
    client: { address: client[0], port: client[1] },
    server: { address: vip, port: 443 },
    tls: { serverName: "api.hadywafa.com" },
    response: { status: 200 },
    timing: { dns: 0.8, connect: 0.4, tls: 2.1, total: 7.3 },
  },
  conntrack: [
    {
      node: "node-a",
      entries: [
        tracked(["10.244.0.3", 40000], clusterIP, ["10.244.0.6", 8080]),
        tracked(client, [vip, 443], ["10.244.0.3", 443]),
        tracked(upstream, clusterIP, ["10.244.1.5", 8080], "overlay"),
      ],
    },
    { node: "node-b", entries: [tracked(upstream, ["10.244.1.5", 8080], ["10.244.1.5", 8080])] },
  ],
  ingress: {
    pod: { namespace: "inroad-system", name: "inroad-ingress-a" },
    requestId: "0123456789abcdef",
    client: { address: client[0], port: client[1] },
    host: "api.hadywafa.com",
    path: "/api/v1/resource",
    rule: { ingress: { namespace: "default", name: "api-ingress" }, field: "spec.rules[0].http.paths[0]" },
    dns: { name: "api-service.default.svc.cluster.local", address: "10.96.1.1" },
    upstream: { address: "10.96.1.1", port: 80, localAddress: upstream[0], localPort: upstream[1] },
    status: 200,
    timings: { resolved: 0.3, connected: 0.6, firstByte: 1.9, total: 2.2 },
  },
  pod: { pod: "api-3", namespace: "default", node: "node-b", address: "10.244.1.5", peer: "10.244.0.3" },
} as const satisfies Observations;

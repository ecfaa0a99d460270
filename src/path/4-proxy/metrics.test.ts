import { test } from "node:test";
import assert from "node:assert/strict";
import { createProxyMetrics } from "./metrics.ts";
import { testSnapshot } from "./testing.ts";
import type { TestService } from "./testing.ts";

const NOW = 1_800_000_000_000;
const api: TestService = {
  name: "api",
  clusterIP: "10.96.0.7",
  endpoints: [{ address: "10.244.1.2", node: "node-b" }],
};

/** The value of a series in the text; undefined if it is not there. */
function valueOf(text: string, series: string): number | undefined {
  const line = text.split("\n").find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

test("changes of Services and of endpoints are counted apart, and none is pending once rules are in force", () => {
  const { recorder, text } = createProxyMetrics("nftables", "node-a", () => NOW);
  const before = testSnapshot(api);
  recorder.queued();
  assert.equal(valueOf(text(), "kubeproxy_sync_proxy_rules_endpoint_changes_pending"), 1);
  recorder.synced({ snapshot: before, full: true, seconds: 0.01 });
  const [, service] = [...before.services][0] ?? [];
  assert.ok(service);
  const [port] = service.ports;
  assert.ok(port);
  const shrunk = { ...service, ports: [{ ...port, endpoints: [] }], endpointsChangedAt: NOW - 30 };
  const local = { ...shrunk, internalTrafficPolicy: "Local" as const };
  const withService = (one: typeof service) => ({ ...before, services: new Map([["default/api", one]]) });
  recorder.synced({ snapshot: withService(shrunk), full: false, seconds: 0.002 });
  recorder.synced({ snapshot: withService(local), full: false, seconds: 0.002 });
  const after = text();
  const count = (name: string) => valueOf(after, `kubeproxy_sync_proxy_rules_${name}`);
  assert.equal(count("endpoint_changes_total"), 2);
  assert.equal(count("service_changes_total"), 2);
  assert.equal(count("service_changes_pending"), 0);
  assert.equal(valueOf(after, "kubeproxy_network_programming_duration_seconds_sum"), 0.03);
  assert.equal(valueOf(after, "kubeproxy_sync_full_proxy_rules_duration_seconds_count"), 1);
  assert.equal(valueOf(after, "kubeproxy_sync_partial_proxy_rules_duration_seconds_count"), 2);
});

test("Services of a Local policy without an endpoint on the node are counted by policy", () => {
  const { recorder, text } = createProxyMetrics("nftables", "node-a", () => NOW);
  const snapshot = testSnapshot(
    { ...api, internalTrafficPolicy: "Local" },
    {
      ...api,
      name: "here",
      internalTrafficPolicy: "Local",
      endpoints: [{ address: "10.244.0.2", node: "node-a" }],
    },
    { ...api, name: "empty", internalTrafficPolicy: "Local", endpoints: [] },
  );
  recorder.synced({ snapshot, full: true, seconds: 0.01 });
  const series = "kubeproxy_sync_proxy_rules_no_local_endpoints_total";
  assert.equal(valueOf(text(), `${series}{traffic_policy="internal"}`), 1);
  assert.equal(valueOf(text(), `${series}{traffic_policy="external"}`), 0);
});

test("how even the turns are is told for each Service port", () => {
  const { balanced, text } = createProxyMetrics("nftables", "node-a", () => NOW);
  balanced([{ list: "default/api:http/TCP", connections: 7, spread: 1 }]);
  assert.equal(valueOf(text(), 'inroad_proxy_connections{service_port="default/api:http/TCP"}'), 7);
  assert.equal(valueOf(text(), 'inroad_proxy_connections_spread{service_port="default/api:http/TCP"}'), 1);
});

for (const [mode, full, series] of [
  ["nftables", true, "nftables_sync_failures_total"],
  ["iptables", true, "iptables_restore_failures_total"],
  ["iptables", false, "iptables_partial_restore_failures_total"],
] as const) {
  test(`a failed ${full ? "full" : "partial"} change by ${mode} counts as ${series}`, () => {
    const { recorder, text } = createProxyMetrics(mode, "node-a", () => NOW);
    recorder.failed(full);
    assert.equal(valueOf(text(), `kubeproxy_sync_proxy_rules_${series}`), 1);
  });
}

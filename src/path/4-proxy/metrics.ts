/** What the proxy tells about its work, under kube-proxy's names, so that its dashboards and alerts go on working. */
import { createMetrics, exponential } from "#lib/metrics";
import type { Metrics, Sample } from "#lib/metrics";
import type { ServiceModel, Snapshot } from "#model";
import type { Recorder } from "./apply.ts";
import type { Fairness } from "./fairness.ts";

export interface ProxyMetrics {
  readonly recorder: Recorder;
  /** An answer to `/healthz` or `/livez` with this status. */
  probed(path: "healthz" | "livez", code: number): void;
  forgotFlows(count: number): void;
  /** How evenly endpoints met connections, read just now. */
  balanced(lists: readonly Fairness[]): void;
  text(): string;
}

/** Upper bounds in seconds: 1 ms to 16 s, doubling. */
const SYNC_SECONDS = exponential(0.001, 2, 15);

/** A change takes effect within milliseconds here; the upper ones are kube-proxy's. */
const PROGRAMMING_SECONDS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300];

const PREFIX = "kubeproxy_sync_proxy_rules_";

/** @param clock milliseconds since 1970. */
export function createProxyMetrics(mode: string, node: string, clock: () => number = Date.now): ProxyMetrics {
  const metrics = createMetrics();
  const duration = metrics.histogram(
    `${PREFIX}duration_seconds`,
    "Time to put a change in force.",
    SYNC_SECONDS,
  );
  const kinds = {
    full: metrics.histogram(
      "kubeproxy_sync_full_proxy_rules_duration_seconds",
      "Time to put all rules in force.",
      SYNC_SECONDS,
    ),
    partial: metrics.histogram(
      "kubeproxy_sync_partial_proxy_rules_duration_seconds",
      "Time to put a change of some rules in force.",
      SYNC_SECONDS,
    ),
  };
  const queuedAt = metrics.gauge(
    `${PREFIX}last_queued_timestamp_seconds`,
    "When a change last asked for rules.",
  );
  const syncedAt = metrics.gauge(`${PREFIX}last_timestamp_seconds`, "When rules were last put in force.");
  const changes = changeCounters(metrics);
  const failures = failureCounters(metrics, mode);
  const programming = metrics.histogram(
    "kubeproxy_network_programming_duration_seconds",
    "From the change of a pod or Service to the rules that follow it.",
    PROGRAMMING_SECONDS,
  );
  const probes = {
    healthz: metrics.counter("kubeproxy_proxy_healthz_total", "Answers to /healthz."),
    livez: metrics.counter("kubeproxy_proxy_livez_total", "Answers to /livez."),
  };
  const forgotten = metrics.counter(
    "kubeproxy_conntrack_reconciler_deleted_entries_total",
    "Remembered flows to endpoints that are gone.",
  );
  let last: Snapshot | undefined;
  metrics.gaugeFrom(
    `${PREFIX}no_local_endpoints_total`,
    "Services with a Local policy and no endpoint on this node.",
    () => (last === undefined ? [] : withoutLocal(last, node)),
  );
  let lists: readonly Fairness[] = [];
  const ofLists = (value: (list: Fairness) => number) =>
    lists.map((one) => ({ labels: { service_port: one.list }, value: value(one) }));
  metrics.gaugeFrom(
    "inroad_proxy_connections",
    "Connections by Service port since its endpoints changed last.",
    () => ofLists(({ connections }) => connections),
  );
  metrics.gaugeFrom(
    "inroad_proxy_connections_spread",
    "Most connections of a turn less the fewest: 0 or 1 where the order was kept.",
    () => ofLists(({ spread }) => spread),
  );
  return {
    balanced: (read) => void (lists = read),
    recorder: {
      queued() {
        queuedAt.set(clock() / 1000);
        changes.pending(true);
      },
      synced({ snapshot, full, seconds }) {
        duration.observe(seconds);
        kinds[full ? "full" : "partial"].observe(seconds);
        syncedAt.set(clock() / 1000);
        const changed = changedServices(last, snapshot);
        changes.count(changed);
        for (const at of last === undefined ? [] : changed.triggered) {
          programming.observe(Math.max(0, clock() - at) / 1000);
        }
        last = snapshot;
      },
      failed: failures,
    },
    probed: (path, code) => probes[path].inc({ code: String(code) }),
    forgotFlows: (count) => forgotten.inc({}, count),
    text: metrics.text,
  };
}

interface Changed {
  readonly services: number;
  readonly endpoints: number;
  /** When the changes of endpoints began, where that is known. */
  readonly triggered: readonly number[];
}

function changeCounters(metrics: Metrics) {
  const counters = {
    services: metrics.counter(`${PREFIX}service_changes_total`, "Changes of Services."),
    endpoints: metrics.counter(`${PREFIX}endpoint_changes_total`, "Changes of endpoints."),
  };
  const pending = ["service", "endpoint"].map((what) =>
    metrics.gauge(`${PREFIX}${what}_changes_pending`, `Whether changes of ${what}s may wait for rules.`),
  );
  return {
    pending: (waiting: boolean) => pending.forEach((gauge) => gauge.set(waiting ? 1 : 0)),
    count({ services, endpoints }: Changed) {
      counters.services.inc({}, services);
      counters.endpoints.inc({}, endpoints);
      for (const gauge of pending) gauge.set(0);
    },
  };
}

/** kube-proxy counts failures by what carries the rules out. */
function failureCounters(metrics: Metrics, mode: string): (full: boolean) => void {
  if (mode !== "iptables") {
    const failed = metrics.counter(`${PREFIX}${mode}_sync_failures_total`, `Failed changes by ${mode}.`);
    return () => failed.inc();
  }
  const all = metrics.counter(`${PREFIX}iptables_restore_failures_total`, "Failed changes of all rules.");
  const some = metrics.counter(
    `${PREFIX}iptables_partial_restore_failures_total`,
    "Failed changes of some rules.",
  );
  return (full) => (full ? all : some).inc();
}

/** A model stays the same object as long as neither its Service nor its slices change. */
function changedServices(before: Snapshot | undefined, after: Snapshot): Changed {
  const triggered: number[] = [];
  let services = 0;
  let endpoints = 0;
  for (const [key, service] of after.services) {
    const old = before?.services.get(key);
    if (old === service) continue;
    if (old === undefined || !sameEndpoints(old, service)) {
      endpoints += 1;
      if (service.endpointsChangedAt !== undefined) triggered.push(service.endpointsChangedAt);
    }
    if (old === undefined || sameEndpoints(old, service)) services += 1;
  }
  for (const key of before?.services.keys() ?? []) if (!after.services.has(key)) services += 1;
  return { services, endpoints, triggered };
}

function sameEndpoints(a: ServiceModel, b: ServiceModel): boolean {
  const text = ({ ports }: ServiceModel): string => JSON.stringify(ports.map(({ endpoints }) => endpoints));
  return text(a) === text(b);
}

function withoutLocal(snapshot: Snapshot, node: string): readonly Sample[] {
  const services = [...snapshot.services.values()];
  return (["internal", "external"] as const).map((policy) => ({
    labels: { traffic_policy: policy },
    value: services.filter((one) => one[`${policy}TrafficPolicy`] === "Local" && lacksLocal(one, node))
      .length,
  }));
}

/** Endpoints, but none on the node. */
function lacksLocal({ ports }: ServiceModel, node: string): boolean {
  return ports.some(
    ({ endpoints }) =>
      endpoints.some(({ serving }) => serving) &&
      !endpoints.some((endpoint) => endpoint.serving && endpoint.node === node),
  );
}

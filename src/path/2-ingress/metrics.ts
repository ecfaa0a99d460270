/** Counters of the hop in the Prometheus text format; labels are bounded by the number of status codes. */

export interface Metrics {
  readonly byStatus: Map<number, number>;
  connections: number;
  connectionsTotal: number;
  requestSeconds: number;
  upstreamFailures: number;
}

export function createMetrics(): Metrics {
  return { byStatus: new Map(), connections: 0, connectionsTotal: 0, requestSeconds: 0, upstreamFailures: 0 };
}

export function countRequest(metrics: Metrics, status: number, milliseconds: number): void {
  metrics.byStatus.set(status, (metrics.byStatus.get(status) ?? 0) + 1);
  metrics.requestSeconds += milliseconds / 1000;
}

export function renderMetrics(metrics: Metrics): string {
  const statuses = [...metrics.byStatus].sort(([a], [b]) => a - b);
  const total = statuses.reduce((sum, [, count]) => sum + count, 0);
  return [
    "# HELP inroad_ingress_requests_total Requests by the status that their client got; 499: it went away before.",
    "# TYPE inroad_ingress_requests_total counter",
    ...statuses.map(([status, count]) => `inroad_ingress_requests_total{code="${status}"} ${count}`),
    "# HELP inroad_ingress_request_duration_seconds From the request head to the last byte of the answer.",
    "# TYPE inroad_ingress_request_duration_seconds summary",
    `inroad_ingress_request_duration_seconds_sum ${metrics.requestSeconds}`,
    `inroad_ingress_request_duration_seconds_count ${total}`,
    "# HELP inroad_ingress_upstream_failures_total Connections to backends that failed or broke.",
    "# TYPE inroad_ingress_upstream_failures_total counter",
    `inroad_ingress_upstream_failures_total ${metrics.upstreamFailures}`,
    "# HELP inroad_ingress_connections_total Client connections accepted.",
    "# TYPE inroad_ingress_connections_total counter",
    `inroad_ingress_connections_total ${metrics.connectionsTotal}`,
    "# HELP inroad_ingress_connections Client connections open.",
    "# TYPE inroad_ingress_connections gauge",
    `inroad_ingress_connections ${metrics.connections}`,
    "",
  ].join("\n");
}

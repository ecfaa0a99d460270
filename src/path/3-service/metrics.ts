/** What the server counts, under the names and labels that CoreDNS gives it, so that its dashboards and alerts work. */
import type { Answered, DnsEndpoint } from "#serve/dns";
import { isInZone, rcodeName } from "#wire/dns";
import { counters, histograms, type Cell, type Histogram } from "./prometheus.ts";

/** Seconds: 16 buckets, each twice the one before. */
const timeBounds = Array.from({ length: 16 }, (_, i) => 0.00025 * 2 ** i);
const sizeBounds = [0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16e3, 32e3, 48e3, 64e3];
/** The types with a label of their own; all others count as `other`, so that no client can make labels. */
const knownTypes = new Set([
  "A",
  "AAAA",
  "MX",
  "SOA",
  "CNAME",
  "PTR",
  "TXT",
  "NS",
  "SRV",
  "IXFR",
  "AXFR",
  "ANY",
]);

export type DnsMetrics = ReturnType<typeof createMetrics>;

/** The cells of queries that are alike. */
interface Row {
  readonly requests: Cell;
  readonly doRequests: Cell;
  readonly duration: Histogram;
  readonly requestSize: Histogram;
  readonly responseSize: Histogram;
  readonly responses: (Cell | undefined)[];
  readonly zone: string;
}

/**
 * @param server its own name in labels, `dns://:53`.
 * @param domain of the cluster, without a dot at its end.
 */
export function createMetrics(server: string, domain: string) {
  const families = createFamilies();
  const origin = `${domain.toLowerCase()}.`;
  const zones = [origin, "in-addr.arpa.", "ip6.arpa.", "."];
  const rows = new Map<string, Row>();

  const rowOf = (zone: string, transport: string, family: string, type: string): Row => {
    const key = `${zone} ${transport} ${family} ${type}`;
    const known = rows.get(key);
    if (known !== undefined) return known;
    const row: Row = {
      zone,
      requests: families.requests.of(server, zone, "", transport, family, type),
      doRequests: families.doRequests.of(server, zone, ""),
      duration: families.duration.of(server, zone, ""),
      requestSize: families.requestSize.of(server, zone, "", transport),
      responseSize: families.responseSize.of(server, zone, "", transport),
      responses: [],
    };
    rows.set(key, row);
    return row;
  };

  return {
    /** One answer to a client. */
    answered({ query, peer, request, reply, milliseconds }: Answered): void {
      const name = query?.question.name.toLowerCase();
      // A query that cannot be read belongs to no zone: CoreDNS calls that "dropped".
      const zone = name === undefined ? "dropped" : (zones.find((each) => isInZone(name, each)) ?? ".");
      const asked = query?.question.type ?? "";
      const type = knownTypes.has(asked) ? asked : "other";
      const row = rowOf(zone, peer.transport, peer.address.includes(":") ? "2" : "1", type);
      const rcode = (reply[3] ?? 0) & 15;
      row.requests.value += 1;
      if (query?.message.edns?.dnssecOk === true) row.doRequests.value += 1;
      row.duration.observe(milliseconds / 1000);
      row.requestSize.observe(request.length);
      row.responseSize.observe(reply.length);
      row.responses[rcode] ??= families.responses.of(server, zone, "", rcodeName(rcode), pluginOf(zone));
      row.responses[rcode].value += 1;
    },
    cacheHit(kind: "success" | "denial"): void {
      families.cacheRequests.of(server, ".", "").value += 1;
      families.cacheHits.of(server, kind, ".", "").value += 1;
    },
    cacheMiss(): void {
      families.cacheRequests.of(server, ".", "").value += 1;
      families.cacheMisses.of(server, ".", "").value += 1;
    },
    cacheSize(kind: "success" | "denial", entries: number): void {
      families.cacheEntries.of(server, kind, ".", "").value = entries;
    },
    cacheEviction(kind: "success" | "denial"): void {
      families.cacheEvictions.of(server, kind, ".", "").value += 1;
    },
    rejected(): void {
      families.rejects.of().value += 1;
    },
    exchanged(to: DnsEndpoint, milliseconds: number, reply: Uint8Array | undefined): void {
      const rcode = reply === undefined ? "" : rcodeName((reply[3] ?? 0) & 15);
      families.upstream.of("forward", nameOf(to), rcode).observe(milliseconds / 1000);
    },
    probeFailed(to: DnsEndpoint): void {
      families.probeFailures.of("forward", nameOf(to)).value += 1;
    },
    allDown(): void {
      families.allDown.of().value += 1;
    },
    walked(): void {
      families.autopath.of(server).value += 1;
    },
    render: (): string => [...Object.values(families).flatMap((family) => family.render()), ""].join("\n"),
  };
}

/** Who answers: CoreDNS names its plugin. */
function pluginOf(zone: string): string {
  if (zone === "dropped") return "";
  return zone === "." ? "forward" : "kubernetes";
}

function nameOf({ address, port }: DnsEndpoint): string {
  return `${address.includes(":") ? `[${address}]` : address}:${port}`;
}

function createFamilies() {
  const zoned = ["server", "zone", "view"];
  const cached = ["server", "type", "zones", "view"];
  const upstream = ["proxy_name", "to"];
  const counter = (name: string, help: string, labels: readonly string[]) => counters({ name, help, labels });
  return {
    requests: counter("coredns_dns_requests_total", "Queries.", [...zoned, "proto", "family", "type"]),
    responses: counter("coredns_dns_responses_total", "Responses.", [...zoned, "rcode", "plugin"]),
    doRequests: counter("coredns_dns_do_requests_total", "Queries that want DNSSEC records.", zoned),
    duration: histograms(
      { name: "coredns_dns_request_duration_seconds", help: "From query to response.", labels: zoned },
      timeBounds,
    ),
    requestSize: histograms(
      { name: "coredns_dns_request_size_bytes", help: "Size of queries.", labels: [...zoned, "proto"] },
      sizeBounds,
    ),
    responseSize: histograms(
      { name: "coredns_dns_response_size_bytes", help: "Size of responses.", labels: [...zoned, "proto"] },
      sizeBounds,
    ),
    cacheEntries: counters(
      { name: "coredns_cache_entries", help: "Upstream answers kept.", labels: cached },
      "gauge",
    ),
    cacheHits: counter("coredns_cache_hits_total", "Answers from the cache.", cached),
    cacheMisses: counter("coredns_cache_misses_total", "Queries that the cache could not answer.", [
      "server",
      "zones",
      "view",
    ]),
    cacheRequests: counter("coredns_cache_requests_total", "Queries to the cache.", [
      "server",
      "zones",
      "view",
    ]),
    cacheEvictions: counter("coredns_cache_evictions_total", "Answers thrown out for lack of room.", cached),
    rejects: counter("coredns_forward_max_concurrent_rejects_total", "Queries refused beyond the limit.", []),
    allDown: counter("coredns_forward_healthcheck_broken_total", "Queries while all upstreams were out.", []),
    upstream: histograms(
      {
        name: "coredns_proxy_request_duration_seconds",
        help: "Exchanges with upstreams; without a response code: no response.",
        labels: [...upstream, "rcode"],
      },
      timeBounds,
    ),
    probeFailures: counter(
      "coredns_proxy_healthcheck_failures_total",
      "Failed probes of upstreams.",
      upstream,
    ),
    autopath: counter("coredns_autopath_success_total", "Search lists walked for a client.", ["server"]),
  };
}

/** What the server counts, under the names and labels that CoreDNS gives it, so that its dashboards and alerts work. */
import { createMetrics, exponential, type CounterSeries, type HistogramSeries } from "#lib/metrics";
import { formatDnsEndpoint, type Answered, type DnsEndpoint } from "#serve/dns";
import { isInZone, rcodeName } from "#wire/dns";

const timeBounds = exponential(0.00025, 2, 16);
const sizeBounds = [0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16e3, 32e3, 48e3, 64e3];
/** The types with a label of their own; all others count as `other`, so that no client can make labels. */
const types = ["A", "AAAA", "MX", "SOA", "CNAME", "PTR", "TXT", "NS", "SRV", "IXFR", "AXFR", "ANY"];
const OTHER = "other";
/** A query that cannot be read belongs to no zone: CoreDNS calls that so. */
const DROPPED = "dropped";

export interface DnsMetrics {
  /** One answer to a client. */
  answered(answered: Answered): void;
  cacheHit(kind: CacheKind): void;
  cacheMiss(): void;
  cacheSize(kind: CacheKind, entries: number): void;
  cacheEviction(kind: CacheKind): void;
  /** A query beyond the limit of those under way. */
  rejected(): void;
  /** One exchange with an upstream: how long it took, and its response, if there was one. */
  exchanged(to: DnsEndpoint, milliseconds: number, reply: Uint8Array | undefined): void;
  probeFailed(to: DnsEndpoint): void;
  allDown(): void;
  /** A change of a headless Service's endpoints that is answered from now on: how long ago it was, seconds. */
  programmed(seconds: number): void;
  /** A search list that was walked for a client. */
  walked(): void;
  text(): string;
}

type CacheKind = "success" | "denial";

/** The series of queries that are alike. */
interface Row {
  readonly requests: CounterSeries;
  readonly doRequests: CounterSeries;
  readonly duration: HistogramSeries;
  readonly requestSize: HistogramSeries;
  readonly responseSize: HistogramSeries;
  readonly responses: (CounterSeries | undefined)[];
}

/**
 * @param server its own name in labels, `dns://:53`.
 * @param domain of the cluster, without a dot at its end.
 */
export function createDnsMetrics(server: string, domain: string): DnsMetrics {
  const metrics = createMetrics();
  const queries = countQueries(metrics, server, domain);
  return { ...queries, ...countEvents(metrics, server), text: metrics.text };
}

type Registry = ReturnType<typeof createMetrics>;

function countQueries(metrics: Registry, server: string, domain: string): Pick<DnsMetrics, "answered"> {
  const requests = metrics.counter("coredns_dns_requests_total", "Queries.");
  const responses = metrics.counter("coredns_dns_responses_total", "Responses.");
  const doRequests = metrics.counter("coredns_dns_do_requests_total", "Queries that want DNSSEC records.");
  const duration = metrics.histogram(
    "coredns_dns_request_duration_seconds",
    "From query to response.",
    timeBounds,
  );
  const requestSize = metrics.histogram("coredns_dns_request_size_bytes", "Size of queries.", sizeBounds);
  const responseSize = metrics.histogram("coredns_dns_response_size_bytes", "Size of responses.", sizeBounds);
  const zones = [`${domain.toLowerCase()}.`, "in-addr.arpa.", "ip6.arpa.", ".", DROPPED];
  const rows: (Row | undefined)[] = [];

  const createRow = (zone: string, proto: string, family: string, type: string): Row => {
    const zoned = { server, zone, view: "" };
    return {
      requests: requests.series({ ...zoned, proto, family, type }),
      doRequests: doRequests.series(zoned),
      duration: duration.series(zoned),
      requestSize: requestSize.series({ ...zoned, proto }),
      responseSize: responseSize.series({ ...zoned, proto }),
      responses: [],
    };
  };
  return {
    answered({ asked, peer, request, reply, milliseconds }) {
      const zoneAt = zoneIndex(zones, asked?.question.name);
      const typeAt = types.indexOf(asked?.question.type ?? OTHER);
      const six = peer.address.includes(":");
      const at = (((zoneAt << 1) | Number(peer.transport === "tcp")) << 1) | Number(six);
      // The position of `other` is -1; it is the first of its zone.
      const key = at * (types.length + 1) + typeAt + 1;
      const zone = zones[zoneAt] ?? ".";
      const row = (rows[key] ??= createRow(zone, peer.transport, six ? "2" : "1", types[typeAt] ?? OTHER));
      row.requests.value += 1;
      if (asked?.edns?.dnssecOk === true) row.doRequests.value += 1;
      row.duration.observe(milliseconds / 1000);
      row.requestSize.observe(request.length);
      row.responseSize.observe(reply.length);
      const code = (reply[3] ?? 0) & 15;
      (row.responses[code] ??= responses.series({
        ...{ server, zone, view: "" },
        ...{ rcode: rcodeName(code), plugin: pluginOf(zone) },
      })).value += 1;
    },
  };
}

/** Where a name's zone stands in the list: the root at the last but one place, what cannot be read at the last. */
function zoneIndex(zones: readonly string[], name: string | undefined): number {
  if (name === undefined) return zones.length - 1;
  const lower = name.toLowerCase();
  return zones.findIndex((zone) => isInZone(lower, zone));
}

/** Who answers: CoreDNS names its plugin. */
function pluginOf(zone: string): string {
  if (zone === DROPPED) return "";
  return zone === "." ? "forward" : "kubernetes";
}

function countEvents(metrics: Registry, server: string): Omit<DnsMetrics, "answered" | "text"> {
  const entries = metrics.gauge("coredns_cache_entries", "Upstream answers kept.");
  const hits = metrics.counter("coredns_cache_hits_total", "Answers from the cache.");
  const misses = metrics.counter("coredns_cache_misses_total", "Queries that the cache could not answer.");
  const requests = metrics.counter("coredns_cache_requests_total", "Queries to the cache.");
  const evictions = metrics.counter("coredns_cache_evictions_total", "Answers thrown out for lack of room.");
  const rejects = metrics.counter(
    "coredns_forward_max_concurrent_rejects_total",
    "Queries refused beyond the limit.",
  );
  const broken = metrics.counter(
    "coredns_forward_healthcheck_broken_total",
    "Queries while all upstreams were out.",
  );
  const seconds = metrics.histogram(
    "coredns_proxy_request_duration_seconds",
    "Exchanges with upstreams; without a response code: no response.",
    timeBounds,
  );
  const probes = metrics.counter(
    "coredns_proxy_healthcheck_failures_total",
    "Failed health checks of upstreams.",
  );
  const programming = metrics.histogram(
    "coredns_kubernetes_dns_programming_duration_seconds",
    "From a change of endpoints until names are answered with it.",
    exponential(0.001, 2, 20),
  );
  const walks = metrics.counter("coredns_autopath_success_total", "Search lists walked for a client.");
  const cached = { server, zones: ".", view: "" };
  const upstream = (to: DnsEndpoint) => ({ proxy_name: "forward", to: formatDnsEndpoint(to) });
  const withKind = (type: CacheKind) => ({ server, type, zones: ".", view: "" });
  return {
    cacheHit(kind) {
      requests.inc(cached);
      hits.inc(withKind(kind));
    },
    cacheMiss() {
      requests.inc(cached);
      misses.inc(cached);
    },
    cacheSize: (kind, count) => entries.set(count, withKind(kind)),
    cacheEviction: (kind) => evictions.inc(withKind(kind)),
    rejected: () => rejects.inc(),
    exchanged: (to, milliseconds, reply) =>
      seconds.observe(milliseconds / 1000, {
        ...upstream(to),
        rcode: reply === undefined ? "" : rcodeName((reply[3] ?? 0) & 15),
      }),
    probeFailed: (to) => probes.inc(upstream(to)),
    allDown: () => broken.inc(),
    programmed: (duration) => programming.observe(duration, { service_kind: "headless_with_selector" }),
    walked: () => walks.inc({ server }),
  };
}

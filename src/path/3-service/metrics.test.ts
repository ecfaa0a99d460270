import assert from "node:assert/strict";
import { test } from "node:test";
import type { Answered } from "#serve/dns";
import { queryFor } from "#serve/dns";
import { decodeMessage, encodeMessage, type Message } from "#wire/dns";
import { createDnsMetrics } from "./metrics.ts";

function answered(name: string, type: string, changes: Partial<Message> = {}): Answered {
  const request = queryFor({ name, type });
  const message = decodeMessage(request);
  const [question] = message.questions;
  assert.ok(question !== undefined);
  const reply = encodeMessage({ ...message, response: true, ...changes });
  const peer = { address: "10.244.0.5", port: 1, transport: "udp" } as const;
  return { asked: { question, edns: message.edns }, peer, request, reply, milliseconds: 0.3 };
}

function lines(metrics: ReturnType<typeof createDnsMetrics>, name: string): string[] {
  return metrics
    .text()
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
}

test("queries are counted by zone, transport, family and type under CoreDNS' names", () => {
  const metrics = createDnsMetrics("dns://:53", "cluster.local");
  metrics.answered(answered("A.default.svc.Cluster.Local.", "A"));
  metrics.answered(answered("a.default.svc.cluster.local.", "A", { rcode: 3 }));
  metrics.answered(answered("x.example.", "TYPE65"));
  metrics.answered({ ...answered("x.example.", "A", { rcode: 1 }), asked: undefined });
  const head = 'server="dns://:53"';
  assert.deepEqual(lines(metrics, "coredns_dns_requests_total"), [
    `coredns_dns_requests_total{${head},zone="cluster.local.",view="",proto="udp",family="1",type="A"} 2`,
    `coredns_dns_requests_total{${head},zone=".",view="",proto="udp",family="1",type="other"} 1`,
    `coredns_dns_requests_total{${head},zone="dropped",view="",proto="udp",family="1",type="other"} 1`,
  ]);
  assert.deepEqual(lines(metrics, "coredns_dns_responses_total"), [
    `coredns_dns_responses_total{${head},zone="cluster.local.",view="",rcode="NOERROR",plugin="kubernetes"} 1`,
    `coredns_dns_responses_total{${head},zone="cluster.local.",view="",rcode="NXDOMAIN",plugin="kubernetes"} 1`,
    `coredns_dns_responses_total{${head},zone=".",view="",rcode="NOERROR",plugin="forward"} 1`,
    `coredns_dns_responses_total{${head},zone="dropped",view="",rcode="FORMERR",plugin=""} 1`,
  ]);
});

test("a histogram's buckets hold everything up to their bound, the last one all", () => {
  const metrics = createDnsMetrics("dns://:53", "cluster.local");
  metrics.answered(answered("x.example.", "A"));
  const buckets = lines(metrics, "coredns_dns_request_duration_seconds_bucket").map(
    (line) => /le="(.*)"} (\d)/.exec(line)?.slice(1) ?? [],
  );
  assert.deepEqual(buckets.slice(0, 2), [
    ["0.00025", "0"],
    ["0.0005", "1"],
  ]);
  assert.deepEqual(buckets.at(-1), ["+Inf", "1"]);
  assert.equal(buckets.length, 17);
});

test("upstreams, cache and limits are counted", () => {
  const metrics = createDnsMetrics("dns://:53", "cluster.local");
  const to = { address: "2001:db8::1", port: 53 };
  metrics.exchanged(to, 1, undefined);
  metrics.probeFailed(to);
  metrics.cacheHit("denial");
  metrics.cacheMiss();
  metrics.cacheSize("denial", 3);
  metrics.rejected();
  assert.match(
    lines(metrics, "coredns_proxy_request_duration_seconds_count")[0] ?? "",
    /proxy_name="forward",to="\[2001:db8::1\]:53",rcode=""} 1$/,
  );
  assert.match(lines(metrics, "coredns_proxy_healthcheck_failures_total")[0] ?? "", / 1$/);
  assert.match(lines(metrics, "coredns_cache_hits_total")[0] ?? "", /type="denial".* 1$/);
  assert.match(lines(metrics, "coredns_cache_requests_total")[0] ?? "", / 2$/);
  assert.match(lines(metrics, "coredns_cache_entries")[0] ?? "", / 3$/);
  assert.deepEqual(lines(metrics, "coredns_forward_max_concurrent_rejects_total"), [
    "coredns_forward_max_concurrent_rejects_total 1",
  ]);
});

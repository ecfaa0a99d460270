import { createMetrics } from "#lib/metrics";

export interface AnnounceMetrics {
  count(what: "request" | "answer" | "announcement", address: string): void;
  /** All of them in Prometheus' text format. */
  text(): string;
}

/** Counters by address, and whether this node answers for it (`held`). */
export function createAnnounceMetrics(held: () => readonly string[]): AnnounceMetrics {
  const metrics = createMetrics();
  const counters = {
    request: metrics.counter("inroad_layer2_requests_received_total", "ARP requests and solicitations."),
    answer: metrics.counter("inroad_layer2_responses_sent_total", "Answers to them."),
    announcement: metrics.counter("inroad_layer2_gratuitous_sent_total", "Unasked announcements."),
  };
  metrics.gaugeFrom("inroad_layer2_announced", "1 for each address that this node answers for.", () =>
    held().map((address) => ({ labels: { address }, value: 1 })),
  );
  return {
    count: (what, address) => counters[what].inc({ address }),
    text: metrics.text,
  };
}

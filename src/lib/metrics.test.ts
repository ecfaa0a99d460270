import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetrics, exponential } from "./metrics.ts";

test("counters add up per set of labels", () => {
  const metrics = createMetrics();
  const requests = metrics.counter("requests_total", "Requests.");
  requests.inc({ code: "200" });
  requests.inc({ code: "200" }, 2);
  requests.inc({ code: "503" });
  assert.equal(
    metrics.text(),
    '# HELP requests_total Requests.\n# TYPE requests_total counter\nrequests_total{code="200"} 3\nrequests_total{code="503"} 1\n',
  );
});

test("a series that is kept counts for the same labels", () => {
  const metrics = createMetrics();
  const requests = metrics.counter("requests_total", "Requests.");
  const seconds = metrics.histogram("seconds", "Seconds.", [1]);
  requests.series({ code: "200" }).value += 2;
  requests.inc({ code: "200" });
  seconds.series({ code: "200" }).observe(0.5);
  seconds.observe(2, { code: "200" });
  assert.match(metrics.text(), /^requests_total\{code="200"\} 3$/m);
  assert.match(metrics.text(), /^seconds_bucket\{code="200",le="1"\} 1$/m);
  assert.match(metrics.text(), /^seconds_count\{code="200"\} 2$/m);
});

test("gauges hold the last value, or are asked when read", () => {
  const metrics = createMetrics();
  const last = metrics.gauge("last", "Last.");
  last.set(1);
  last.set(2);
  let depth = 3;
  metrics.gaugeFrom("depth", "Depth.", () => [{ labels: {}, value: depth }]);
  depth = 4;
  assert.match(metrics.text(), /^last 2$/m);
  assert.match(metrics.text(), /^depth 4$/m);
});

test("buckets of a histogram are cumulative and end in +Inf", () => {
  const metrics = createMetrics();
  const seconds = metrics.histogram("seconds", "Seconds.", [0.1, 1]);
  for (const value of [0.05, 0.1, 0.5, 7]) seconds.observe(value);
  assert.deepEqual(metrics.text().split("\n").slice(2, -1), [
    'seconds_bucket{le="0.1"} 2',
    'seconds_bucket{le="1"} 3',
    'seconds_bucket{le="+Inf"} 4',
    "seconds_sum 7.65",
    "seconds_count 4",
  ]);
});

test("what would end a label or a line is escaped", () => {
  const metrics = createMetrics();
  metrics.counter("a_total", "Two\nlines.").inc({ name: 'a"b\\c\nd' });
  assert.match(metrics.text(), /^# HELP a_total Two\\nlines\.$/m);
  assert.match(metrics.text(), /^a_total\{name="a\\"b\\\\c\\nd"\} 1$/m);
});

test("exponential bounds", () => {
  assert.deepEqual(exponential(1, 2, 4), [1, 2, 4, 8]);
});

/**
 * Counters, gauges and histograms, and their text for Prometheus (exposition format 0.0.4). Label values come from our own
 * code and from objects of the cluster, never from what clients send: so the number of series is bounded.
 */
type Labels = Readonly<Record<string, string>>;

interface Counter {
  /** Adds `by`, which must not be negative; 1 if not given. */
  inc(labels?: Labels, by?: number): void;
}

interface Gauge {
  set(value: number, labels?: Labels): void;
}

interface Histogram {
  observe(value: number, labels?: Labels): void;
}

export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

export interface Metrics {
  counter(name: string, help: string): Counter;
  gauge(name: string, help: string): Gauge;
  /** A gauge whose values are asked for when somebody reads them. */
  gaugeFrom(name: string, help: string, read: () => readonly Sample[]): void;
  /** @param bounds upper bounds of the buckets, ascending; `+Inf` is added. */
  histogram(name: string, help: string, bounds: readonly number[]): Histogram;
  /** All of them in the text format. */
  text(): string;
}

/** The media type of `text()`. */
export const metricsType = "text/plain; version=0.0.4; charset=utf-8";

/** Bounds that grow by a factor: `exponential(0.001, 2, 15)` is 0.001, 0.002 ... 16.384. */
export function exponential(first: number, factor: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => first * factor ** i);
}

export function createMetrics(): Metrics {
  const families: (() => readonly string[])[] = [];
  const family = (name: string, type: string, help: string, lines: () => readonly string[]): void => {
    const head = [`# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`];
    families.push(() => [...head, `# TYPE ${name} ${type}`, ...lines()]);
  };
  /** One number for each set of labels; a family without labels is there from the start. */
  const values = (name: string, type: string, help: string): Map<string, number> => {
    const series = new Map<string, number>();
    family(name, type, help, () => [...series].map(([labels, value]) => `${name}${labels} ${value}`));
    return series;
  };
  return {
    counter(name, help) {
      const series = values(name, "counter", help);
      return {
        inc: (labels = {}, by = 1) => {
          const key = labelText(labels);
          series.set(key, (series.get(key) ?? 0) + by);
        },
      };
    },
    gauge(name, help) {
      const series = values(name, "gauge", help);
      return { set: (value, labels = {}) => void series.set(labelText(labels), value) };
    },
    gaugeFrom(name, help, read) {
      family(name, "gauge", help, () =>
        read().map(({ labels, value }) => `${name}${labelText(labels)} ${value}`),
      );
    },
    histogram(name, help, bounds) {
      const series = new Map<string, Distribution>();
      family(name, "histogram", help, () =>
        [...series.values()].flatMap((one) => bucketLines(name, bounds, one)),
      );
      return {
        observe: (value, labels = {}) => {
          const key = labelText(labels);
          const known = series.get(key) ?? { labels, counts: bounds.map(() => 0), count: 0, sum: 0 };
          series.set(key, known);
          observe(known, bounds, value);
        },
      };
    },
    text: () => `${families.flatMap((lines) => lines()).join("\n")}\n`,
  };
}

interface Distribution {
  readonly labels: Labels;
  /** By bucket, not cumulated. */
  readonly counts: number[];
  count: number;
  sum: number;
}

function observe(into: Distribution, bounds: readonly number[], value: number): void {
  const bucket = bounds.findIndex((bound) => value <= bound);
  if (bucket >= 0) into.counts[bucket] = (into.counts[bucket] ?? 0) + 1;
  into.count += 1;
  into.sum += value;
}

function bucketLines(name: string, bounds: readonly number[], of: Distribution): readonly string[] {
  let below = 0;
  const buckets = bounds.map((bound, index) => {
    below += of.counts[index] ?? 0;
    return `${name}_bucket${labelText({ ...of.labels, le: String(bound) })} ${below}`;
  });
  return [
    ...buckets,
    `${name}_bucket${labelText({ ...of.labels, le: "+Inf" })} ${of.count}`,
    `${name}_sum${labelText(of.labels)} ${of.sum}`,
    `${name}_count${labelText(of.labels)} ${of.count}`,
  ];
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

/**
 * Counters, gauges and histograms, and their text for Prometheus (exposition format 0.0.4). Label values come from our own
 * code and from objects of the cluster, never from what clients send: so the number of series is bounded.
 */
type Labels = Readonly<Record<string, string>>;

/** One number of a counter. */
export interface CounterSeries {
  value: number;
}

/** One distribution of a histogram. */
export interface HistogramSeries {
  observe(value: number): void;
}

interface Counter {
  /** Adds `by`, which must not be negative; 1 if not given. */
  inc(labels?: Labels, by?: number): void;
  /** The number of these labels itself, for those who add thousands of times a second. It may only grow. */
  series(labels: Labels): CounterSeries;
}

interface Gauge {
  set(value: number, labels?: Labels): void;
}

interface Histogram {
  observe(value: number, labels?: Labels): void;
  /** The distribution of these labels itself, for those who observe thousands of times a second. */
  series(labels: Labels): HistogramSeries;
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
  return {
    counter(name, help) {
      const all = new Map<string, CounterSeries>();
      family(name, "counter", help, () => [...all].map(([labels, { value }]) => `${name}${labels} ${value}`));
      const series = (labels: Labels): CounterSeries => memo(all, labelText(labels), () => ({ value: 0 }));
      return {
        inc: (labels = {}, by = 1) => void (series(labels).value += by),
        series,
      };
    },
    gauge(name, help) {
      const series = new Map<string, number>();
      family(name, "gauge", help, () => [...series].map(([labels, value]) => `${name}${labels} ${value}`));
      return { set: (value, labels = {}) => void series.set(labelText(labels), value) };
    },
    gaugeFrom(name, help, read) {
      family(name, "gauge", help, () =>
        read().map(({ labels, value }) => `${name}${labelText(labels)} ${value}`),
      );
    },
    histogram(name, help, bounds) {
      const all = new Map<string, Distribution>();
      family(name, "histogram", help, () =>
        [...all.values()].flatMap((one) => bucketLines(name, bounds, one)),
      );
      const of = (labels: Labels): Distribution =>
        memo(all, labelText(labels), () => ({ labels, counts: bounds.map(() => 0), count: 0, sum: 0 }));
      return {
        observe: (value, labels = {}) => observe(of(labels), bounds, value),
        series: (labels) => {
          const into = of(labels);
          return { observe: (value) => observe(into, bounds, value) };
        },
      };
    },
    text: () => `${families.flatMap((lines) => lines()).join("\n")}\n`,
  };
}

function memo<T>(map: Map<string, T>, key: string, make: () => T): T {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
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

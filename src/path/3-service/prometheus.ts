/** Counters and histograms in the Prometheus text format. A cell is looked up once and then only added to. */

export interface Cell {
  value: number;
}

export interface Histogram {
  /** Counts the value in every bucket that holds it. */
  observe(value: number): void;
}

interface Family<T> {
  /** The cell of these label values, in the order of the family's labels. */
  of(...values: readonly string[]): T;
  /** Lines of the text format. */
  render(): readonly string[];
}

interface Description {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}

/** A family of counters, or of gauges. */
export function counters(about: Description, type: "counter" | "gauge" = "counter"): Family<Cell> {
  const cells = new Map<string, Cell>();
  return {
    of: (...values) => memo(cells, labelText(about.labels, values), () => ({ value: 0 })),
    render: () => [
      ...head(about, type),
      ...[...cells].map(([labels, { value }]) => `${about.name}${braced(labels)} ${value}`),
    ],
  };
}

/** A family of histograms with the same upper bounds, in ascending order. */
export function histograms(about: Description, bounds: readonly number[]): Family<Histogram> {
  const all = new Map<string, HistogramState>();
  return {
    of: (...values) => memo(all, labelText(about.labels, values), () => createHistogram(bounds)),
    render: () => [
      ...head(about, "histogram"),
      ...[...all].flatMap(([labels, state]) => renderHistogram(about.name, labels, bounds, state)),
    ],
  };
}

interface HistogramState extends Histogram {
  /** One more than bounds: the last one is for what is larger than all. */
  readonly counts: readonly number[];
  sum(): number;
}

function createHistogram(bounds: readonly number[]): HistogramState {
  const counts = Array.from({ length: bounds.length + 1 }, () => 0);
  let sum = 0;
  return {
    counts,
    sum: () => sum,
    observe(value) {
      let i = 0;
      while (i < bounds.length && value > (bounds[i] ?? 0)) i += 1;
      counts[i] = (counts[i] ?? 0) + 1;
      sum += value;
    },
  };
}

function renderHistogram(
  name: string,
  labels: string,
  bounds: readonly number[],
  state: HistogramState,
): string[] {
  let total = 0;
  const separator = labels === "" ? "" : ",";
  const buckets = state.counts.map((count, i) => {
    total += count;
    return `${name}_bucket{${labels}${separator}le="${bounds[i] ?? "+Inf"}"} ${total}`;
  });
  return [
    ...buckets,
    `${name}_sum${braced(labels)} ${state.sum()}`,
    `${name}_count${braced(labels)} ${total}`,
  ];
}

function head({ name, help }: Description, type: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}

function braced(labels: string): string {
  return labels === "" ? "" : `{${labels}}`;
}

function labelText(names: readonly string[], values: readonly string[]): string {
  return names.map((name, i) => `${name}="${escaped(values[i] ?? "")}"`).join(",");
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function memo<T>(map: Map<string, T>, key: string, make: () => T): T {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

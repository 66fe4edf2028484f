import type { Metric, Registry } from "prom-client";

/** A metric whose samples are read when it is scraped: no series outlives what it describes, and nothing keeps it up to date in between. */
export interface PulledMetric<L extends string> {
  readonly name: string;
  readonly help: string;
  /** None for a metric of one series. */
  readonly labelNames?: readonly L[];
  /** Adds each series, from what there is now. Of a series that is added twice a gauge has the last value, a counter the sum. */
  readonly collect: (add: (labels: Readonly<Record<L, string>>, value: number) => void) => void;
}

export function pullGauge<L extends string = never>(registry: Registry, metric: PulledMetric<L>): void {
  register(registry, "gauge", metric, (_, value) => value);
}

export function pullCounter<L extends string = never>(registry: Registry, metric: PulledMetric<L>): void {
  register(registry, "counter", metric, (before, value) => before + value);
}

export interface PulledHistogram {
  readonly name: string;
  readonly help: string;
  /** Upper bounds of the buckets, ascending; there is one more without a bound. */
  readonly bounds: readonly number[];
  /** How many values each bucket has, those of smaller ones not counted again, and the sum of all values. */
  readonly collect: () => { readonly buckets: readonly number[]; readonly sum: number };
}

export function pullHistogram(registry: Registry, { name, help, bounds, collect }: PulledHistogram): void {
  const get = async () => {
    const { buckets, sum } = collect();
    let count = 0;
    const values = [...bounds, "+Inf"].map((le, index) => {
      count += buckets[index] ?? 0;
      return { metricName: `${name}_bucket`, labels: { le }, value: count };
    });
    const totals = [
      { metricName: `${name}_sum`, labels: {}, value: sum },
      { metricName: `${name}_count`, labels: {}, value: count },
    ];
    return { name, help, type: "histogram", aggregator: "sum", values: [...values, ...totals] };
  };
  registry.registerMetric({ name, help, labelNames: [], get } as unknown as Metric<string>);
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What a registry holds for a pulled metric: what the library asks of a metric, and the samples alone. */
export interface Pulled {
  readonly name: string;
  readonly help: string;
  readonly type: "gauge" | "counter";
  readonly labelNames: readonly string[];
  readonly samples: () => Iterable<Sample>;
  readonly get: () => Promise<object>;
}

/** The library's own metrics would keep all series from one scrape to the next, which costs megabytes at 10,000 Services. */
function register<L extends string>(
  registry: Registry,
  type: "gauge" | "counter",
  { name, help, labelNames = [], collect }: PulledMetric<L>,
  combine: (before: number, value: number) => number,
): void {
  const samples = () => {
    const found = new Map<string, { labels: Readonly<Record<string, string>>; value: number }>(); // label values -> sample
    collect((labels, value) => {
      const key = labelNames.map((label) => labels[label]).join("\0");
      const sample = found.get(key);
      if (sample === undefined) found.set(key, { labels, value });
      else sample.value = combine(sample.value, value);
    });
    return found.values();
  };
  const get = async () => ({ name, help, type, aggregator: "sum", values: [...samples()] });
  const pulled: Pulled = { name, help, type, labelNames, samples, get };
  registry.registerMetric(pulled as unknown as Metric<L>);
}

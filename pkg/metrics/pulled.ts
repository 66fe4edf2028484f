import type { Metric, Registry } from "prom-client";

/**
 * A metric of few series, which are read when it is scraped, all at once: no series outlives what it describes, and nothing keeps it up
 * to date in between.
 */
export interface PulledMetric<L extends string> {
  readonly name: string;
  readonly help: string;
  /** None for a metric of one series. */
  readonly labelNames?: readonly L[];
  /** Adds each series, from the present state. If a series is added twice, a gauge has the last value, a counter the sum. */
  readonly collect: (add: (labels: Readonly<Record<L, string>>, value: number) => void) => void;
}

export function pullGauge<L extends string = never>(registry: Registry, metric: PulledMetric<L>): void {
  const { name, help, labelNames = [] } = metric;
  register(registry, "gauge", { name, help, labelNames, series: () => combined(metric, (_, value) => value) });
}

export function pullCounter<L extends string = never>(registry: Registry, metric: PulledMetric<L>): void {
  const { name, help, labelNames = [] } = metric;
  register(registry, "counter", { name, help, labelNames, series: () => combined(metric, (before, value) => before + value) });
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
  const type = "histogram";
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
    return { name, help, type, aggregator: "sum", values: [...values, ...totals] };
  };
  registry.registerMetric({ name, help, type, labelNames: [], get } as unknown as Metric<string>);
}

export interface SeriesMetric<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly L[];
  /**
   * Yields each series, once: what reads it takes a few at a time, and lets the process do other things in between. So it has to stand
   * that what it reads changes meanwhile. Undefined: something was looked at that is no series by itself.
   */
  readonly series: () => Iterable<Series<L> | undefined>;
}

type Series<L extends string> = readonly [labels: Readonly<Record<L, string>>, value: number];

/** A metric with a series for each address, Service or pool, of which there may be thousands. */
export function pullSeries<L extends string>(registry: Registry, type: "gauge" | "counter", metric: SeriesMetric<L>): void {
  register(registry, type, metric);
}

/** A registry's entry for a pulled metric: the part that the library asks of a metric, and its series alone. */
export interface Pulled {
  readonly name: string;
  readonly help: string;
  readonly type: "gauge" | "counter";
  readonly labelNames: readonly string[];
  readonly series: () => Iterable<Series<string> | undefined>;
  readonly get: () => Promise<object>;
}

/** All series, those that are added twice as one. */
function* combined<L extends string>(
  { labelNames = [], collect }: PulledMetric<L>,
  combine: (before: number, value: number) => number,
): Iterable<Series<L>> {
  const found = new Map<string, [labels: Readonly<Record<L, string>>, value: number]>(); // label values -> series
  collect((labels, value) => {
    const key = labelNames.map((label) => labels[label]).join("\0");
    const known = found.get(key);
    if (known === undefined) found.set(key, [labels, value]);
    else known[1] = combine(known[1], value);
  });
  yield* found.values();
}

/** The library's own metrics would keep all series from one scrape to the next, which costs megabytes at 10,000 Services. */
function register<L extends string>(
  registry: Registry,
  type: "gauge" | "counter",
  { name, help, labelNames, series }: SeriesMetric<L>,
): void {
  const values = () => [...series()].flatMap((one) => (one === undefined ? [] : [{ labels: one[0], value: one[1] }]));
  const get = async () => ({ name, help, type, aggregator: "sum", values: values() });
  const pulled: Pulled = { name, help, type, labelNames, series, get };
  registry.registerMetric(pulled as unknown as Metric<L>);
}

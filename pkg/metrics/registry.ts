import { createHistogram, type Histogram, type RecordableHistogram } from "node:perf_hooks";
import { collectDefaultMetrics, Registry } from "prom-client";
import { lostLogLines } from "#pkg/log";
import { pullCounter, pullGauge } from "./pulled.ts";

const never = 2 ** 31 - 1; // Milliseconds.

/** A registry with the process's own metrics (`process_…`, `nodejs_…`) in it. */
export function createRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: never });
  watchEventLoopLag(registry);
  pullCounter(registry, {
    name: "ingot_log_lines_lost_total",
    help: "Lines of the log that could not be written: the disk is full, or nobody reads them.",
    collect: (add) => add({}, lostLogLines()),
  });
  return registry;
}

const everyMs = 1_000;
const nanosPerMs = 1e6;
const nanosPerSecond = 1e9;

const statistics: Readonly<Record<string, { readonly help: string; readonly of: (lags: Histogram) => number }>> = {
  min: { help: "The minimum recorded event loop delay.", of: ({ min }) => min },
  max: { help: "The maximum recorded event loop delay.", of: ({ max }) => max },
  mean: { help: "The mean of the recorded event loop delays.", of: ({ mean }) => mean },
  stddev: { help: "The standard deviation of the recorded event loop delays.", of: ({ stddev }) => stddev },
  p50: { help: "The 50th percentile of the recorded event loop delays.", of: (lags) => lags.percentile(50) },
  p90: { help: "The 90th percentile of the recorded event loop delays.", of: (lags) => lags.percentile(90) },
  p99: { help: "The 99th percentile of the recorded event loop delays.", of: (lags) => lags.percentile(99) },
};

/** Exact to 1 %: it has 48 KB outside V8's heap, where with Node's default of three figures it has 360. */
function newHistogram(): RecordableHistogram {
  return createHistogram({ figures: 2 });
}

/**
 * Replaces the library's `nodejs_eventloop_lag_min_seconds` and its like, for which Node wakes up ten times a second at least: a third of
 * the cost of a process at rest. Here the lag is the lateness of a timer, once a second, since the last scrape. Two histograms take turns:
 * a new one for each scrape would fill the C library's heap until V8 collects garbage, which a process at rest does seldom.
 */
function watchEventLoopLag(registry: Registry): void {
  let lags = newHistogram();
  let shown = newHistogram();
  let due = performance.now() + everyMs;
  const sample = (): void => {
    const now = performance.now();
    lags.record(Math.max(1, Math.round((now - due) * nanosPerMs)));
    due = now + everyMs;
    setTimeout(sample, everyMs).unref();
  };
  setTimeout(sample, everyMs).unref();
  for (const [index, [statistic, { help, of }]] of Object.entries(statistics).entries()) {
    const name = `nodejs_eventloop_lag_${statistic}_seconds`;
    registry.removeSingleMetric(name);
    pullGauge(registry, {
      name,
      help,
      collect: (add) => {
        if (index === 0) {
          // The first on the page.
          [shown, lags] = [lags, shown];
          lags.reset();
        }
        add({}, shown.count === 0 ? 0 : of(shown) / nanosPerSecond);
      },
    });
  }
}

import { collectDefaultMetrics, Registry } from "prom-client";
import { lostLogLines } from "#pkg/log";
import { watchEventLoopLag } from "./event-loop-lag.ts";
import { pullCounter } from "./pulled.ts";

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

import { collectDefaultMetrics, Registry } from "prom-client";
import { lostLogLines } from "#pkg/log";
import { pullCounter } from "./pulled.ts";

/** A registry with the process's own metrics (`process_…`, `nodejs_…`) in it. */
export function createRegistry(): Registry {
  const registry = new Registry();
  // The default, a timer each 10 ms, costs 0.3 % of a core.
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 });
  pullCounter(registry, {
    name: "ingot_log_lines_lost_total",
    help: "Lines of the log that could not be written: the disk is full, or nobody reads them.",
    collect: (add) => add({}, lostLogLines()),
  });
  return registry;
}

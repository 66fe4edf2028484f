import { collectDefaultMetrics, Registry } from "prom-client";
import type { Route } from "#pkg/http";

/** A registry with the process's own metrics (`process_…`, `nodejs_…`) in it. */
export function createRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}

/** The answer of `/metrics`, in the Prometheus text format. */
export function metricsRoute(registry: Registry): () => Promise<Route> {
  return async () => ({ status: 200, contentType: registry.contentType, body: await registry.metrics() });
}

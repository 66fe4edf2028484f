/**
 * Prometheus metrics under the names that people's dashboards and alerts use (`metallb_…`), and the process's own. Each part of
 * the program defines its metrics beside the code that moves them; what both binaries share is here.
 */
export { Counter, Histogram, Registry } from "prom-client";
export { KubernetesMetrics, registerRefusedReports } from "./kubernetes.ts";
export { metricsRoute } from "./page.ts";
export { pullCounter, pullGauge, pullHistogram, pullSeries } from "./pulled.ts";
export { createRegistry } from "./registry.ts";

import { Counter, Gauge, type Registry } from "prom-client";
import { pullGauge } from "./pulled.ts";

/** Metrics of controller and speaker about the API and their configuration (reference names, `metallb_k8s_client_…`). */
export class KubernetesMetrics {
  readonly updates: Counter;
  readonly updateErrors: Counter;
  readonly configLoaded: Gauge;
  readonly configStale: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    this.updates = new Counter({
      name: "metallb_k8s_client_updates_total",
      registers,
      help: "Changes of Kubernetes objects that were processed.",
    });
    this.updateErrors = new Counter({
      name: "metallb_k8s_client_update_errors_total",
      registers,
      help: "Changes of Kubernetes objects that could not be processed.",
    });
    this.configLoaded = new Gauge({
      name: "metallb_k8s_client_config_loaded_bool",
      registers,
      help: "1 if a configuration is in force.",
    });
    this.configStale = new Gauge({
      name: "metallb_k8s_client_config_stale_bool",
      registers,
      help: "1 while the configuration, of the ConfigMap or of custom resources, is missing or refused.",
    });
  }

  /** Shows whether any configuration is in force, and whether that is the one in the ConfigMap. */
  showConfig({ loaded, stale }: { readonly loaded: boolean; readonly stale: boolean }): void {
    this.configLoaded.set(loaded ? 1 : 0);
    this.configStale.set(stale ? 1 : 0);
  }
}

/** Of both programs: what each writes for people and for other processes. */
export function registerRefusedReports(registry: Registry, count: () => number): void {
  pullGauge(registry, {
    name: "ingot_reports_refused",
    help: "ConfigMaps with reports of this process (`ingot-announced-*`, `ingot-conflicts`, `ingot-status`, `ingot-summary`) that the API server refuses again and again.",
    collect: (add) => add({}, count()),
  });
}

import type { Allocator } from "#pkg/allocator";
import { Histogram, KubernetesMetrics, pullGauge, pullSeries, type Registry } from "#pkg/metrics";

/** Everything that the controller measures. How full the pools are is asked for when it is read. */
export function createMetrics(
  registry: Registry,
  allocator: Pick<Allocator, "usage">,
  elector: { readonly isLeader: boolean },
): ControllerMetrics {
  pullGauge(registry, {
    name: "ingot_controller_leader",
    help: "1 on the controller that works, 0 on those that stand by.",
    labelNames: [],
    collect(add) {
      add({}, elector.isLeader ? 1 : 0);
    },
  });
  pullSeries(registry, "gauge", {
    name: "metallb_allocator_addresses_total",
    help: "Addresses that can be assigned, by pool.",
    labelNames: ["pool"],
    *series() {
      for (const { pool, total } of allocator.usage()) yield [{ pool }, total];
    },
  });
  pullSeries(registry, "gauge", {
    name: "metallb_allocator_addresses_in_use_total",
    help: "Addresses that are assigned, by pool.",
    labelNames: ["pool"],
    *series() {
      for (const { pool, inUse } of allocator.usage()) yield [{ pool }, inUse];
    },
  });
  return new ControllerMetrics(registry);
}

/** What the controller measures as it happens. */
export class ControllerMetrics extends KubernetesMetrics {
  readonly allocation: Histogram;
  readonly statusWrite: Histogram;

  constructor(registry: Registry) {
    super(registry);
    this.allocation = new Histogram({
      name: "ingot_controller_allocation_seconds",
      help: "Time from when the controller sees that a Service wants addresses until it sees them in its status.",
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers: [registry],
    });
    this.statusWrite = new Histogram({
      name: "ingot_controller_status_write_seconds",
      help: "Time that the API server takes to write the status of a Service.",
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
      registers: [registry],
    });
  }
}

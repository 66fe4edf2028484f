import type { Allocator } from "#pkg/allocator";
import { KubernetesMetrics, pullGauge, pullSeries, type Registry } from "#pkg/metrics";

/** Everything that the controller measures. How full the pools are is asked for when it is read. */
export function createMetrics(
  registry: Registry,
  allocator: Pick<Allocator, "usage">,
  elector: { readonly isLeader: boolean },
): KubernetesMetrics {
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
  return new KubernetesMetrics(registry);
}

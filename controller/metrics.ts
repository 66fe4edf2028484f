import type { Allocator } from "#pkg/allocator";
import { KubernetesMetrics, pullGauge, type Registry } from "#pkg/metrics";

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
  pullGauge(registry, {
    name: "metallb_allocator_addresses_total",
    help: "Addresses that can be assigned, by pool.",
    labelNames: ["pool"],
    collect(add) {
      for (const { pool, total } of allocator.usage()) add({ pool }, total);
    },
  });
  pullGauge(registry, {
    name: "metallb_allocator_addresses_in_use_total",
    help: "Addresses that are assigned, by pool.",
    labelNames: ["pool"],
    collect(add) {
      for (const { pool, inUse } of allocator.usage()) add({ pool }, inUse);
    },
  });
  return new KubernetesMetrics(registry);
}

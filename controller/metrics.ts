import type { Allocator } from "#pkg/allocator";
import { Gauge, KubernetesMetrics, type Registry } from "#pkg/metrics";

/** Everything that the controller measures. How full the pools are is asked for when it is read. */
export function createMetrics(registry: Registry, allocator: Pick<Allocator, "usage">): KubernetesMetrics {
  const shared = { labelNames: ["pool"], registers: [registry] };
  new Gauge({
    ...shared,
    name: "metallb_allocator_addresses_total",
    help: "Addresses that can be handed out, per pool.",
    collect() {
      this.reset(); // Pools that are gone have no series.
      for (const { pool, total } of allocator.usage()) this.set({ pool }, total);
    },
  });
  new Gauge({
    ...shared,
    name: "metallb_allocator_addresses_in_use_total",
    help: "Addresses that Services hold, per pool.",
    collect() {
      this.reset();
      for (const { pool, inUse } of allocator.usage()) this.set({ pool }, inUse);
    },
  });
  return new KubernetesMetrics(registry);
}

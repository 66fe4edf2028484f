import type { PoolUsage, QuotaUsage } from "#pkg/allocator";
import type { Clock } from "#pkg/clock";
import { Histogram, KubernetesMetrics, pullGauge, pullSeries, type Registry, registerRefusedReports } from "#pkg/metrics";
import type { Family } from "#pkg/net";
import type { ControllerView } from "./core/index.ts";

/** Metrics that are asked for when they are read. */
export function registerUsage(
  registry: Registry,
  terms: {
    readonly controller: {
      readonly view: Pick<ControllerView, "isWorking" | "usage" | "serviceCounts" | "conditionsRefused" | "refusedReports">;
    };
  },
  elector: { readonly isLeader: boolean },
  clock: Pick<Clock, "now">,
): void {
  pullSeries(registry, "gauge", {
    name: "ingot_services",
    help: "Services of type LoadBalancer by state and cause of their verdict, of controller and speakers together. Only on the controller that works.",
    labelNames: ["state", "cause"],
    *series() {
      const { view } = terms.controller;
      for (const one of view.serviceCounts(clock.now())) yield one && [{ state: one[0], cause: one[1] }, one[2]];
    },
  });
  pullGauge(registry, {
    name: "ingot_conditions_refused",
    help: "1 while the API server refuses conditions of Services, or does not answer.",
    collect: (add) => add({}, terms.controller.view.conditionsRefused === undefined ? 0 : 1),
  });
  registerRefusedReports(registry, () => terms.controller.view.refusedReports);
  pullGauge(registry, {
    name: "ingot_controller_leader",
    help: "1 on the controller that works, 0 on controllers that stand by, or lead and do not see the API yet.",
    collect: (add) => add({}, Number(elector.isLeader && terms.controller.view.isWorking)),
  });
  for (const { name, help, of } of poolGauges)
    pullSeries(registry, "gauge", {
      name,
      help,
      labelNames: ["pool"],
      *series() {
        for (const facts of terms.controller.view.usage.usage()) {
          const value = of(facts);
          yield value === undefined ? undefined : [{ pool: facts.pool }, value];
        }
      },
    });
  for (const [name, help, of] of familyGauges)
    pullSeries(registry, "gauge", {
      name,
      help,
      labelNames: ["pool", "family"],
      *series() {
        for (const { pool, families } of terms.controller.view.usage.usage())
          for (const facts of families) yield [{ pool, family: facts.family }, of(facts)];
      },
    });
  for (const [name, help, of] of quotaGauges)
    pullSeries(registry, "gauge", {
      name,
      help,
      labelNames: ["quota", "namespace", "resource"],
      *series() {
        for (const usage of terms.controller.view.usage.quotaUsage()) {
          const { quota, namespace = "", resource } = usage;
          yield [{ quota, namespace, resource }, of(usage)];
        }
      },
    });
}

type Gauge<Facts> = readonly [name: string, help: string, of: (facts: Facts) => number];

const familyGauges: readonly Gauge<PoolUsage["families"][number]>[] = [
  ["ingot_allocator_family_addresses", "Addresses that can be assigned, by pool and family.", ({ total }) => total],
  ["ingot_allocator_family_addresses_in_use", "Addresses that are assigned, by pool and family.", ({ inUse }) => inUse],
];

const quotaGauges: readonly Gauge<QuotaUsage>[] = [
  [
    "ingot_quota_used",
    "Usage that counts towards a quota: ipv4 and ipv6 are addresses, services are Services. One series for each namespace that holds something; the namespace is empty where namespaces are counted together.",
    ({ used }) => used,
  ],
  ["ingot_quota_limit", "Limit of a quota, for each namespace that holds something.", ({ limit }) => limit],
  [
    "ingot_quota_exceeded",
    "1 where Services hold more than a quota allows, because they held it before. Nothing is taken away.",
    ({ used, limit }) => Number(used > limit),
  ],
];

const ofFamily = (facts: PoolUsage, family: Family) => facts.families.find((each) => each.family === family);

/** One series for each pool that has a value. */
const poolGauges: readonly {
  readonly name: string;
  readonly help: string;
  readonly of: (facts: PoolUsage) => number | undefined;
}[] = [
  { name: "metallb_allocator_addresses_total", help: "Addresses that can be assigned, by pool.", of: ({ total }) => total },
  { name: "metallb_allocator_addresses_in_use_total", help: "Addresses that are assigned, by pool.", of: ({ inUse }) => inUse },
  ...(["IPv4", "IPv6"] as const).flatMap((family) => [
    {
      name: `metallb_allocator_${family.toLowerCase()}_addresses_total`,
      help: `${family} addresses that can be assigned, by pool; as MetalLB has it from 0.14 on.`,
      of: (facts: PoolUsage) => ofFamily(facts, family)?.total ?? 0,
    },
    {
      name: `metallb_allocator_${family.toLowerCase()}_addresses_in_use_total`,
      help: `${family} addresses that are assigned, by pool; as MetalLB has it from 0.14 on.`,
      of: (facts: PoolUsage) => ofFamily(facts, family)?.inUse ?? 0,
    },
  ]),
  {
    name: "ingot_allocator_ipam_failing",
    help: "1 for a pool whose records in NetBox cannot be kept.",
    of: ({ ipamProblem }) => (ipamProblem === undefined ? undefined : 1),
  },
  {
    name: "ingot_allocator_addresses_reserved",
    help: "Addresses that are reserved for Services or namespaces, by pool. They are among those that can be assigned.",
    of: ({ reserved }) => (reserved > 0 ? reserved : undefined),
  },
  {
    name: "ingot_allocator_addresses_not_allowed",
    help: "Addresses that Services keep although the configuration would not give them now, by pool.",
    of: ({ notAllowed }) => notAllowed,
  },
];

/** Metrics that the controller counts and measures as it works. */
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

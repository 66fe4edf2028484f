import type { PoolUsage } from "#pkg/allocator";
import type { CustomResource } from "#pkg/k8s";
import { type StatusObject, statusApi } from "./kinds.ts";

/** MetalLB's pools, where they are the configuration: somebody else makes and deletes them. */
export const poolKind: CustomResource = { api: statusApi, plural: "ipaddresspools", kind: "IPAddressPool" };

/** How many addresses of each pool are in use and free, as MetalLB has it from 0.15 on. Larger numbers are the largest that JSON carries exactly. */
export function* poolStatuses(usage: Iterable<PoolUsage>): Iterable<StatusObject> {
  for (const { pool, families } of usage) {
    const status: Record<string, number> = { assignedIPv4: 0, assignedIPv6: 0, availableIPv4: 0, availableIPv6: 0 };
    for (const { family, total, inUse } of families) {
      status[`assigned${family}`] = inUse;
      status[`available${family}`] = Math.min(total, Number.MAX_SAFE_INTEGER) - inUse;
    }
    yield { name: pool, labels: {}, status };
  }
}

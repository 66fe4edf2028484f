import { AddressRange, type Prefix } from "#pkg/net";
import type { Config, Pool } from "./config.ts";

/** A set of next-hop slots as a pool of its own, whose addresses no Service gets: each of them has an owner on layer 2, whoever uses it. */
export interface SlotPool extends Pool {
  readonly slots: Prefix;
}

export function isSlotPool(pool: object | undefined): pool is SlotPool {
  return pool !== undefined && "slots" in pool;
}

/**
 * The sets of next-hop slots of all pools, each once: pools that name the same slots share them. Their owners are the nodes that the pool
 * selects with an address in the slots' subnet. `strict`, because routers send a share of all traffic to each: a slot that another host
 * has is left out. Nodes that cannot deliver leave slots to others where any of the pools asks for that.
 */
export function slotPools({ pools }: Pick<Config, "pools">): readonly SlotPool[] {
  const found = new Map<string, SlotPool>(); // prefix -> pool
  for (const pool of pools)
    for (const slots of pool.nextHopSlots) {
      const known = found.get(`${slots}`) ?? slotPool(pool, slots);
      const isDelivering = [known, pool].some(({ announceWhen }) => announceWhen === "delivering");
      found.set(`${slots}`, { ...known, announceWhen: isDelivering ? "delivering" : "alive" });
    }
  return [...found.values()];
}

function slotPool(pool: Pool, slots: Prefix): SlotPool {
  return {
    ...pool,
    slots,
    name: slotPoolName(slots),
    protocols: ["layer2"],
    ranges: [AddressRange.ofPrefix(slots)],
    autoAssign: false,
    nextHopSlots: [],
    advertisements: [],
    reservations: [],
    preferredNodes: [],
    l2Placement: { subnet: true, sticky: true },
    conflictProbe: "strict",
    keepConnections: false, // No client connects to a slot.
    kernel: undefined,
  };
}

/** No pool has such a name by accident. */
function slotPoolName(slots: Prefix): string {
  return `next-hop-slots ${slots}`;
}

import { hasOwners, type KernelPlacement, type Pool } from "#pkg/config";
import type { Item } from "#pkg/kernel";
import { type Address, Prefix } from "#pkg/net";
import { isByInterface, isOnLan, placeOnInterface } from "#pkg/placement";
import { ownedItems } from "../conflicts/address-defender.ts";
import { brokenFamilies } from "../data-path/data-path.ts";
import { unservedHere } from "../data-path/health-ports.ts";
import { eligibilityOf, nodesOf, undeliveringAt } from "../members/nodes.ts";
import type { SpeakerState } from "../state.ts";
import { isAnnouncedByOwner, placeOwned } from "./layer2.ts";
import type { Protocol } from "./protocol.ts";

/**
 * The node's kernel: each node has the addresses that it can serve, and the routing daemons there announce them; or one node, the address's
 * owner, has it on a NIC of the LAN, and its kernel answers for it.
 */
export const byInterface: Protocol = {
  place(state, placing, now) {
    const { address, holders, pool } = placing;
    const { node } = state;
    const nodes = nodesOf(state, pool);
    if (hasOwners(pool) && isOnLan(address, nodes)) return placeOwned(state, placing, now);
    const unable = [...nodes.undelivering[address.family], ...undeliveringAt(state, pool, address)];
    const delivering = unable.includes(node) ? nodes.eligible.filter((other) => !unable.includes(other)) : [];
    return placeOnInterface(address, holders, { pool, node, eligibility: ownEligibility(state, pool) }, delivering);
  },

  apply(state, { address, pool, before, placed }, _now, effects) {
    if (placed === undefined && before === undefined) return;
    const length = placed !== undefined && isByInterface(placed) ? placed.prefixLength : undefined;
    const routed = length === undefined || pool?.kernel === undefined ? [] : [itemOf(address, length, pool.kernel)];
    const items = placed?.isOwned ? ownedItems(state, address) : routed;
    effects.push({ type: "setKernel", address, items });
  },

  isAnnounced: (state, placement) =>
    placement.isOwned ? isAnnouncedByOwner(state, placement) : placement.verdicts.values().some(({ announced }) => announced),

  settle: () => [],

  flush(complete, effects) {
    if (complete) effects.push({ type: "completeKernel" });
  },
};

/** This node is another than before. @returns the pools that it may serve now, or no longer */
export function ownNodePools(state: SpeakerState): Pool[] {
  const before = new Map(state.kernel.eligibility);
  state.kernel.eligibility.clear();
  return [...before].filter(([pool, eligibility]) => ownEligibility(state, pool) !== eligibility).map(([pool]) => pool);
}

/** Other members are there than before. @returns pools whose addresses this node may leave to those of them that deliver */
export function leftPools(state: SpeakerState): readonly Pool[] {
  if (brokenFamilies(state).length === 0 && unservedHere(state).length === 0) return [];
  return state.config?.config.pools.filter((pool) => pool.kernel !== undefined && !hasOwners(pool)) ?? [];
}

/** Whether this node may have the addresses of a pool of protocol `interface`. */
export function ownEligibility(state: SpeakerState, pool: Pool) {
  const { eligibility } = state.kernel;
  const found = eligibility.get(pool) ?? eligibilityOf(state, pool.nodeSelectors, state.node);
  eligibility.set(pool, found);
  return found;
}

function itemOf(address: Address, prefixLength: number, kernel: KernelPlacement): Item {
  const { carrier, dummyInterface, routeTable: table, routeProtocol: protocol, addressLifetimeSeconds } = kernel;
  if (carrier === "route")
    return { type: "route", interface: dummyInterface, prefix: new Prefix(address, prefixLength), table, protocol };
  const common = { type: "address", interface: dummyInterface, address, prefixLength, protocol } as const;
  return { ...common, lifetimeSeconds: addressLifetimeSeconds, isOnLan: false };
}

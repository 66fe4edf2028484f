import { pullGauge, type Registry } from "#pkg/metrics";
import { currentConflicts } from "./core/conflicts/address-defender.ts";
import type { SpeakerState } from "./core/state.ts";

/** Current conflicts, read at each scrape. */
export function registerConflicts(registry: Registry, state: Pick<SpeakerState, "conflicts">): void {
  pullGauge(registry, {
    name: "ingot_layer2_conflict",
    help: "1 for each other host that has an address of this node: node is empty if it is no speaker; owner says which of the two keeps the address.",
    labelNames: ["ip", "mac", "node", "owner"],
    collect(add) {
      for (const { address, mac, node = "", followed } of currentConflicts(state))
        add({ ip: address.toString(), mac, node, owner: followed ? "other" : "self" }, 1);
    },
  });
  pullGauge(registry, {
    name: "ingot_layer2_occupied_addresses",
    help: "Addresses of pools that are not used because another host has them.",
    collect(add) {
      add({}, state.conflicts.occupants.size);
    },
  });
}

import { pullGauge, type Registry } from "#pkg/metrics";
import type { Guard } from "./guard.ts";
import type { Quarantine } from "./quarantine.ts";

/** Which addresses are in trouble now, read when it is scraped. */
export function registerConflicts(
  registry: Registry,
  { guard, quarantine }: { readonly guard: Pick<Guard, "conflicts">; readonly quarantine: Pick<Quarantine, "describe"> },
): void {
  pullGauge(registry, {
    name: "ingot_layer2_conflict",
    help: "1 for each other machine that has an address of this node: node is its speaker's, empty for a stranger; owner says which of the two speakers keeps it.",
    labelNames: ["ip", "mac", "node", "owner"],
    collect(add) {
      for (const { address, mac, node = "", followed } of guard.conflicts)
        add({ ip: address.toString(), mac, node, owner: followed ? "other" : "self" }, 1);
    },
  });
  pullGauge(registry, {
    name: "ingot_layer2_occupied_addresses",
    help: "Addresses of pools that are announced by no node and given to no Service, because another host has them.",
    collect(add) {
      add({}, quarantine.describe().length);
    },
  });
}

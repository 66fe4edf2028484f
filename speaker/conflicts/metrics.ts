import { pullGauge, type Registry } from "#pkg/metrics";
import type { AddressDefender } from "./address-defender.ts";
import type { Quarantine } from "./quarantine.ts";

/** Current conflicts, read at each scrape. */
export function registerConflicts(
  registry: Registry,
  {
    defender,
    quarantine,
  }: { readonly defender: Pick<AddressDefender, "conflicts">; readonly quarantine: Pick<Quarantine, "describe"> },
): void {
  pullGauge(registry, {
    name: "ingot_layer2_conflict",
    help: "1 for each other host that has an address of this node: node is empty if it is no speaker; owner says which of the two keeps the address.",
    labelNames: ["ip", "mac", "node", "owner"],
    collect(add) {
      for (const { address, mac, node = "", followed } of defender.conflicts)
        add({ ip: address.toString(), mac, node, owner: followed ? "other" : "self" }, 1);
    },
  });
  pullGauge(registry, {
    name: "ingot_layer2_occupied_addresses",
    help: "Addresses of pools that are not used because another host has them.",
    collect(add) {
      add({}, quarantine.describe().length);
    },
  });
}

import type { AddressSighting } from "#pkg/layer2";
import { AddressDefender, type AddressDefenderOptions } from "./address-defender.ts";
import { Quarantine, type QuarantineOptions } from "./quarantine.ts";
import { ConflictReports, type ConflictReportsOptions, describeConflict } from "./reports.ts";

export interface ConflictsOptions
  extends Omit<QuarantineOptions, "layer2" | "isDefended" | "changed">,
    Pick<AddressDefenderOptions, "layer2" | "nodeOf" | "electionAddress">,
    Pick<ConflictReportsOptions, "services" | "record"> {}

/**
 * Conflicts of addresses with other hosts: what the defender finds is reported and, where due, quarantined; what is quarantined the defender
 * does not announce. Whoever makes this disposes of both parts, because they end at different times: the defender before this node leaves
 * the ring, the quarantine after.
 */
export class Conflicts {
  readonly defender: AddressDefender;
  readonly quarantine: Quarantine;

  constructor(options: ConflictsOptions) {
    const { node, active, layer2, nodeOf, electionAddress, clock } = options;
    const reports = new ConflictReports(options);
    this.quarantine = new Quarantine({
      ...options,
      isDefended: (address) => this.defender.has(address),
      changed: () => this.defender.occupiedChanged(),
    });
    this.defender = new AddressDefender({
      node,
      active,
      layer2,
      nodeOf,
      electionAddress,
      clock,
      isOccupied: (address) => this.quarantine.has(address),
      began: (conflict) => reports.began(conflict),
      ended: (conflict) => reports.ended(conflict),
      occupied: (conflict) => {
        reports.occupied(conflict);
        this.quarantine.add(conflict);
      },
      wanted: (conflict) => reports.wanted(conflict),
    });
  }

  /** Another host uses, announces or probes an address. */
  handleSighting(sighting: AddressSighting): void {
    this.quarantine.handleSighting(sighting);
    this.defender.handleSighting(sighting);
  }

  /** The body of `/v1/conflicts`. */
  describe() {
    return { conflicts: this.defender.conflicts.map(describeConflict), occupied: this.quarantine.describe() };
  }
}

import type { Claim } from "#pkg/layer2";
import { Guard, type GuardOptions } from "./guard.ts";
import { Quarantine, type QuarantineOptions } from "./quarantine.ts";
import { ConflictReports, type ConflictReportsOptions, describeConflict } from "./reports.ts";

export interface ConflictsOptions
  extends Omit<QuarantineOptions, "layer2" | "isGuarded" | "changed">,
    Pick<GuardOptions, "layer2" | "nodeOf" | "electionAddress">,
    Pick<ConflictReportsOptions, "services" | "record"> {}

/**
 * What becomes of an address that another machine has too, as one: what the guard finds out is told to people, and goes into quarantine
 * where that is due; and what is in quarantine the guard keeps off the wire. Whoever makes this disposes of both, because they do not
 * end together: the guard before this node leaves the ring, the quarantine after.
 */
export class Conflicts {
  readonly guard: Guard;
  readonly quarantine: Quarantine;

  constructor(options: ConflictsOptions) {
    const { node, active, layer2, nodeOf, electionAddress, clock } = options;
    const reports = new ConflictReports(options);
    this.quarantine = new Quarantine({
      ...options,
      isGuarded: (address) => this.guard.has(address),
      changed: () => this.guard.occupiedChanged(),
    });
    this.guard = new Guard({
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

  /** Another machine said that it has an address. */
  heard(claim: Claim): void {
    this.quarantine.heard(claim);
    this.guard.heard(claim);
  }

  /** For people and programs: `/v1/conflicts`. */
  describe() {
    return { conflicts: this.guard.conflicts.map(describeConflict), occupied: this.quarantine.describe() };
  }
}

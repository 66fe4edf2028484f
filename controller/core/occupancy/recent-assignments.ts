import type { Millis } from "#pkg/clock";
import { PartOf } from "#pkg/core";
import type { Address } from "#pkg/net";
import type { Context } from "../context.ts";

// From an assignment until speakers have seen it, probed the address and reported: some seconds.
const newMs: Millis = 30_000;

/** Which Services were given which addresses in the last 30 s. */
export class RecentAssignments extends PartOf<Pick<Context, "now">> {
  private readonly assignedAt = new Map<string, Millis>(); // service and address -> when it was given that; in order, without old ones

  has(service: string, address: Address): boolean {
    const since = this.assignedAt.get(assignment(service, address));
    return since !== undefined && this.context.now - since < newMs;
  }

  add(service: string, address: Address): void {
    const now = this.context.now;
    this.delete(service, address);
    this.assignedAt.set(assignment(service, address), now);
    for (const [first, at] of this.assignedAt) {
      if (now - at < newMs) break;
      this.assignedAt.delete(first);
    }
  }

  delete(service: string, address: Address | string): void {
    this.assignedAt.delete(assignment(service, address));
  }
}

function assignment(service: string, address: Address | string): string {
  return `${service} ${address}`;
}

import type { Context } from "./context.ts";
import { WorkPlan } from "./queue/work-plan.ts";

// This many writes hide the round trip to the API server; more would only wait there, and be decided on too early.
const writesAtOnce = 32;

/** Which Services are to be decided on, and in which order. */
export class Agenda {
  readonly plan: WorkPlan;
  /** Services that were decided on before their turn. Such a decision stands, unless `changed` names the Service until then. */
  readonly settled = new Set<string>();
  private isOpen = false;

  constructor(context: Pick<Context, "random">) {
    this.plan = new WorkPlan(writesAtOnce, context);
  }

  /** It is known what can be decided, or soon. */
  open(): void {
    this.isOpen = true;
  }

  /** A Service is to be decided on again. Before there is anything to decide it is not noted: all are then. */
  changed(key: string): void {
    this.settled.delete(key);
    if (this.isOpen) this.plan.add(key);
  }
}

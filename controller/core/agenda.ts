import { WorkPlan } from "./queue/work-plan.ts";

// This many writes hide the round trip to the API server; more would only wait there, and be decided on too early.
const writesAtOnce = 32;

/** Which Services are to be decided on, and in which order. */
export class Agenda {
  readonly plan: WorkPlan;
  #isOpen = false;

  constructor(random: ConstructorParameters<typeof WorkPlan>[1]) {
    this.plan = new WorkPlan(writesAtOnce, random);
  }

  /** It is known what can be decided, or soon. */
  open(): void {
    this.#isOpen = true;
  }

  /** A Service is to be decided on again. Before there is anything to decide it is not noted: all are then. */
  changed(key: string): void {
    if (this.#isOpen) this.plan.add(key);
  }
}

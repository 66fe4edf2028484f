import type { Clock, Millis } from "#pkg/clock";
import type { MemberEvent } from "#pkg/memberlist";

// After members came back: who claims what is settled long before, and until then it counts who had lost whom.
const settledMs: Millis = 10_000;
const takenForGone = 0x8000;
const most = 0x7fff;

/**
 * How much this node has to uncertainty its own view of the ring (see `GossipState.setViewUncertainty`). Above all when the others suspected it: it may have
 * stood still, and they have seen what it has not. Then by how many members failed and are not back: behind a cut that is most of them.
 * Those that left or whose Node was deleted do not count.
 */
export class ViewUncertainty {
  readonly #clock: Clock;
  readonly #changed: (uncertainty: number) => void;
  readonly #lost = new Set<string>();
  readonly #back = new Set<string>(); // Of these.
  #suspected = false;
  #settling: Disposable | undefined;

  constructor(clock: Clock, changed: (uncertainty: number) => void) {
    this.#clock = clock;
    this.#changed = changed;
  }

  memberChanged(change: MemberEvent["change"], node: string, self: boolean): void {
    if (self && change === "refuted") {
      this.#suspected = true;
      this.#settle();
    } else if (change === "failed") {
      this.#lost.add(node);
      this.#back.delete(node);
    } else if (change === "joined" && this.#lost.has(node)) {
      this.#back.add(node);
      this.#settle();
    } else if (change === "left") this.#lost.delete(node);
    else return;
    this.#tell();
  }

  forget(node: string): void {
    if (this.#lost.delete(node)) this.#tell();
  }

  [Symbol.dispose](): void {
    this.#settling?.[Symbol.dispose]();
  }

  #settle(): void {
    this.#settling?.[Symbol.dispose]();
    this.#settling = this.#clock.schedule("ring settled", this.#clock.now() + settledMs, () => {
      for (const node of this.#back) this.#lost.delete(node);
      this.#back.clear();
      this.#suspected = false;
      this.#tell();
    });
  }

  #tell(): void {
    this.#changed((this.#suspected ? takenForGone : 0) + Math.min(most, this.#lost.size));
  }
}

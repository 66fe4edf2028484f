import type { Millis } from "#pkg/clock";

interface QueuedEvent {
  readonly at: Millis;
  readonly order: number;
  readonly run: () => void;
}

/** Future events, soonest first; events of one instant in the order in which they were added. */
export class EventHeap {
  readonly #entries: QueuedEvent[] = [];
  #order = 0;

  /** When the next event happens; Infinity without an event. */
  get next(): Millis {
    return this.#entries[0]?.at ?? Infinity;
  }

  add(at: Millis, run: () => void): void {
    const entry = { at, order: this.#order++, run };
    const entries = this.#entries;
    let i = entries.length;
    for (let parent = (i - 1) >> 1; i > 0 && before(entry, entries[parent] as QueuedEvent); parent = (i - 1) >> 1) {
      entries[i] = entries[parent] as QueuedEvent;
      i = parent;
    }
    entries[i] = entry;
  }

  /** Takes the next event out. @throws {Error} if no event is left */
  take(): () => void {
    const entries = this.#entries;
    const [first] = entries;
    const last = entries.pop();
    if (first === undefined || last === undefined) throw new Error("Cannot take the next event: there is none");
    if (first === last) return first.run;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child + 1 < entries.length && before(entries[child + 1] as QueuedEvent, entries[child] as QueuedEvent)) child++;
      if (child >= entries.length || before(last, entries[child] as QueuedEvent)) break;
      entries[i] = entries[child] as QueuedEvent;
      i = child;
    }
    entries[i] = last;
    return first.run;
  }
}

function before(a: QueuedEvent, b: QueuedEvent): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

import type { Millis } from "#pkg/clock";

interface Entry {
  readonly at: Millis;
  readonly order: number;
  readonly run: () => void;
}

/** Future events, soonest first; events of one instant in the order in which they were added. */
export class EventHeap {
  readonly #entries: Entry[] = [];
  #order = 0;

  /** When the next event happens; Infinity without an event. */
  get next(): Millis {
    return this.#entries[0]?.at ?? Infinity;
  }

  add(at: Millis, run: () => void): void {
    const entry = { at, order: this.#order++, run };
    const entries = this.#entries;
    let i = entries.length;
    for (let parent = (i - 1) >> 1; i > 0 && before(entry, entries[parent] as Entry); parent = (i - 1) >> 1) {
      entries[i] = entries[parent] as Entry;
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
      if (child + 1 < entries.length && before(entries[child + 1] as Entry, entries[child] as Entry)) child++;
      if (child >= entries.length || before(last, entries[child] as Entry)) break;
      entries[i] = entries[child] as Entry;
      i = child;
    }
    entries[i] = last;
    return first.run;
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

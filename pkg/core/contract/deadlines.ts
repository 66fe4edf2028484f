import type { Millis } from "#pkg/clock";

interface QueuedDeadline {
  readonly key: string;
  readonly at: Millis;
}

/**
 * One deadline for each key, and which is next: a binary heap, in which deadlines that were moved stay until they come to the top. Among
 * equal deadlines the one with the lesser key is first, so that a recording's decisions do not depend on how often somebody asked for the
 * next.
 */
export class Deadlines {
  private readonly at = new Map<string, Millis>(); // key -> its deadline
  private readonly heap: QueuedDeadline[] = [];

  has(key: string): boolean {
    return this.at.has(key);
  }

  /** Infinity for none. */
  set(key: string, at: Millis): void {
    if (this.at.get(key) === at) return;
    if (at === Infinity) {
      this.at.delete(key);
      return;
    }
    this.at.set(key, at);
    this.#push({ key, at });
  }

  /** The earliest; Infinity without any. */
  get next(): Millis {
    return this.#top()?.at ?? Infinity;
  }

  /** Takes off the earliest that is over. @returns its key */
  takeDue(now: Millis): string | undefined {
    const top = this.#top();
    if (top === undefined || top.at > now) return undefined;
    this.#pop();
    this.at.delete(top.key);
    return top.key;
  }

  #top(): QueuedDeadline | undefined {
    for (let top = this.heap[0]; top !== undefined; top = this.heap[0]) {
      if (this.at.get(top.key) === top.at) return top;
      this.#pop();
    }
    return undefined;
  }

  #push(entry: QueuedDeadline): void {
    const heap = this.heap;
    let index = heap.push(entry) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || isBefore(above, entry)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = entry;
  }

  #pop(): void {
    const heap = this.heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const [ofLeft, ofRight] = [heap[left], heap[left + 1]];
      const child = ofLeft !== undefined && ofRight !== undefined && isBefore(ofRight, ofLeft) ? left + 1 : left;
      const below = heap[child];
      if (below === undefined || isBefore(last, below)) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(a: QueuedDeadline, b: QueuedDeadline): boolean {
  return a.at === b.at ? a.key < b.key : a.at < b.at;
}

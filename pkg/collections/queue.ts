/** First in, first out. Unlike with an array, taking the first of a hundred thousand costs no more than of ten. */
export class Queue<Item extends NonNullable<unknown>> {
  #items: Item[] = [];
  #taken = 0;

  get first(): Item | undefined {
    return this.#items[this.#taken];
  }

  get size(): number {
    return this.#items.length - this.#taken;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  shift(): Item | undefined {
    const item = this.first;
    if (item !== undefined) this.#taken++;
    if (this.#taken > this.#items.length / 2) {
      this.#items = this.#items.slice(this.#taken);
      this.#taken = 0;
    }
    return item;
  }
}

/**
 * First in, first out, or the last one first, and an item that waits is not added twice. Taking one of ten thousand costs no more than of ten.
 */
export class DistinctQueue<Item extends NonNullable<unknown>> {
  readonly #items: Set<Item>;
  #order: SetIterator<Item>; // An iterator does not look again at places that it has passed; a new one would look at all of them again.
  #stack: Item[]; // From when the last one is taken until none is left: all items, where each was added last, and some that are gone.

  constructor(items = new Set<Item>(), stack: Item[] = []) {
    this.#items = items;
    this.#order = items.values();
    this.#stack = stack;
  }

  save() {
    return { items: this.#items, stack: this.#stack };
  }

  static restore<Item extends NonNullable<unknown>>(saved: { items: Set<Item>; stack: Item[] }): DistinctQueue<Item> {
    return new DistinctQueue(saved.items, saved.stack);
  }

  get size(): number {
    return this.#items.size;
  }

  push(item: Item): void {
    if (this.#items.has(item)) return;
    this.#items.add(item);
    if (this.#stack.length > 0) this.#stack.push(item);
    if (this.#stack.length > 2 * this.#items.size) this.#stack = [...this.#items];
  }

  shift(): Item | undefined {
    if (this.#items.size === 0) return undefined;
    let first = this.#order.next();
    if (first.done) {
      this.#order = this.#items.values();
      first = this.#order.next();
    }
    if (first.value !== undefined) this.#take(first.value);
    return first.value;
  }

  /** Takes the last instead of the first. */
  pop(): Item | undefined {
    if (this.#stack.length === 0) this.#stack = [...this.#items];
    let last = this.#stack.pop();
    while (last !== undefined && !this.#items.has(last)) last = this.#stack.pop();
    if (last !== undefined) this.#take(last);
    return last;
  }

  #take(item: Item): void {
    this.#items.delete(item);
    if (this.#items.size === 0) this.#stack = [];
  }
}

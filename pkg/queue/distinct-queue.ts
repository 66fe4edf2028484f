/** First in, first out, and an item that waits is not added twice. Taking the first of ten thousand costs no more than of ten. */
export class DistinctQueue<Item extends NonNullable<unknown>> {
  readonly #items = new Set<Item>();
  #order = this.#items.values(); // What it has passed is gone: a new one would look at the places of all of that again.

  get size(): number {
    return this.#items.size;
  }

  push(item: Item): void {
    this.#items.add(item);
  }

  shift(): Item | undefined {
    if (this.#items.size === 0) return undefined;
    let first = this.#order.next();
    if (first.done) {
      this.#order = this.#items.values();
      first = this.#order.next();
    }
    if (first.value !== undefined) this.#items.delete(first.value);
    return first.value;
  }
}

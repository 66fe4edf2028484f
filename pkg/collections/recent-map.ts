/**
 * A map of at most `max` entries, in the order in which they were set: the one that was set longest ago makes room for another. Setting a key again
 * makes it the last; reading it does not.
 */
export class RecentMap<Key, Value> extends Map<Key, Value> {
  readonly #max: number;
  #oldest: MapIterator<Key> | undefined; // Kept, as a new one would begin at the places of all that was deleted since the table was made.
  #sets = 0; // Since the iterator was last given up.

  constructor(max: number) {
    super();
    this.#max = max;
  }

  override set(key: Key, value: Value): this {
    super.delete(key);
    super.set(key, value);
    // An idle iterator keeps every later table of the map in memory, with all of its entries.
    if (++this.#sets >= this.#max) {
      this.#sets = 0;
      this.#oldest = undefined;
    }
    if (this.size > this.#max) this.#forgetOldest();
    return this;
  }

  #forgetOldest(): void {
    this.#oldest ??= this.keys();
    const oldest = this.#oldest.next();
    if (oldest.done !== true) this.delete(oldest.value);
  }
}

/**
 * The value for `key` in `known`, made if it is missing. When `max` values are there, all are forgotten first. So a host that chooses the
 * keys can have everything made again, but not have it kept, and no order of last use has to be kept up to date.
 */
export function remembered<Key, Value>(known: Map<Key, Value>, key: Key, max: number, make: (key: Key) => Value): Value {
  const found = known.get(key);
  if (found !== undefined) return found;
  const made = make(key);
  if (known.size >= max) known.clear();
  known.set(key, made);
  return made;
}

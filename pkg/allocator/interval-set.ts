import { above, floor, insert, remove, type Tree } from "./interval-tree.ts";

/**
 * A set of numbers kept as maximal intervals: every operation takes time logarithmic in the number of intervals, and memory
 * grows with the intervals, not with the members.
 */
export class IntervalSet {
  #root: Tree;
  #size = 0;

  /** How many members it has. */
  get size(): number {
    return this.#size;
  }

  /** @returns false if it was there already */
  add(value: bigint): boolean {
    const below = floor(this.#root, value);
    if (below !== undefined && value <= below.end) return false;
    const next = above(this.#root, value);
    const joinsBelow = below !== undefined && below.end + 1n === value;
    const joinsNext = next !== undefined && next.start === value + 1n;
    if (joinsBelow && joinsNext) {
      below.end = next.end;
      this.#root = remove(this.#root, next.start);
    } else if (joinsBelow) below.end = value;
    else if (joinsNext) next.start = value;
    else this.#root = insert(this.#root, value, value);
    this.#size++;
    return true;
  }

  /** @returns false if it was not there */
  delete(value: bigint): boolean {
    const found = floor(this.#root, value);
    if (found === undefined || found.end < value) return false;
    const { start, end } = found;
    if (start === end) this.#root = remove(this.#root, start);
    else if (value === start) found.start = value + 1n;
    else {
      found.end = value - 1n;
      if (value < end) this.#root = insert(this.#root, value + 1n, end);
    }
    this.#size--;
    return true;
  }

  /** The smallest member at or above `from`. */
  next(from: bigint): bigint | undefined {
    const below = floor(this.#root, from);
    return below !== undefined && from <= below.end ? from : above(this.#root, from)?.start;
  }

  /** The smallest number at or above `from` that is not a member. */
  nextAbsent(from: bigint): bigint {
    const below = floor(this.#root, from);
    return below !== undefined && from <= below.end ? below.end + 1n : from;
  }
}

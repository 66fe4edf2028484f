/**
 * A balanced search tree of disjoint intervals, keyed by start: an AA tree (Andersson, "Balanced search trees made simple",
 * 1993), whose height is at most 2 log₂(n + 1). Functions take the root and return the new one; nodes are changed in place.
 */
export interface Interval {
  start: bigint;
  /** Included. */
  end: bigint;
  level: number;
  left: Tree;
  right: Tree;
}

export type Tree = Interval | undefined;

/** The interval with the greatest start at or below `at`. */
export function floor(root: Tree, at: bigint): Tree {
  let found: Tree;
  for (let node = root; node !== undefined; ) {
    if (node.start > at) node = node.left;
    else {
      found = node;
      node = node.right;
    }
  }
  return found;
}

/** The interval with the smallest start above `at`. */
export function above(root: Tree, at: bigint): Tree {
  let found: Tree;
  for (let node = root; node !== undefined; ) {
    if (node.start <= at) node = node.right;
    else {
      found = node;
      node = node.left;
    }
  }
  return found;
}

/** Adds an interval whose start the tree does not have. */
export function insert(root: Tree, start: bigint, end: bigint): Interval {
  if (root === undefined) return { start, end, level: 1, left: undefined, right: undefined };
  if (start < root.start) root.left = insert(root.left, start, end);
  else root.right = insert(root.right, start, end);
  return split(skew(root));
}

/** Removes the interval that starts at `start`, which the tree has. References to other intervals may go stale. */
export function remove(root: Tree, start: bigint): Tree {
  if (root === undefined) throw new RangeError(`Cannot remove interval: none starts at ${start}`);
  if (start < root.start) root.left = remove(root.left, start);
  else if (start > root.start) root.right = remove(root.right, start);
  else if (root.left === undefined) return root.right;
  else {
    // A node with a left child is above the lowest level, so it has a right child too, and with it a successor.
    const next = above(root, start) as Interval;
    root.start = next.start;
    root.end = next.end;
    root.right = remove(root.right, next.start);
  }
  return rebalance(root);
}

function rebalance(node: Interval): Interval {
  const level = Math.min(node.left?.level ?? 0, node.right?.level ?? 0) + 1;
  if (level === node.level) return node;
  node.level = level;
  if (node.right !== undefined && node.right.level > level) node.right.level = level;
  const root = skew(node);
  if (root.right !== undefined) {
    root.right = skew(root.right);
    if (root.right.right !== undefined) root.right.right = skew(root.right.right);
  }
  const top = split(root);
  if (top.right !== undefined) top.right = split(top.right);
  return top;
}

/** Turns a left child on the node's own level into the node's parent. */
function skew(node: Interval): Interval {
  const left = node.left;
  if (left === undefined || left.level !== node.level) return node;
  node.left = left.right;
  left.right = node;
  return left;
}

/** Lifts the middle of three nodes that stand on one level. */
function split(node: Interval): Interval {
  const right = node.right;
  if (right?.right === undefined || right.right.level !== node.level) return node;
  node.right = right.left;
  right.left = node;
  right.level++;
  return right;
}

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

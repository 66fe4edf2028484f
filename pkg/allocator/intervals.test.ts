import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { above, floor, type Interval, IntervalSet, insert, remove, type Tree } from "./intervals.ts";

function starts(tree: Tree): bigint[] {
  return tree === undefined ? [] : [...starts(tree.left), tree.start, ...starts(tree.right)];
}

function height(tree: Tree): number {
  return tree === undefined ? 0 : 1 + Math.max(height(tree.left), height(tree.right));
}

/** The rules of an AA tree: the left child is one level down, the right one at most one, and no three share a level. */
function assertBalanced(node: Tree): void {
  if (node === undefined) return;
  assert.equal(node.left?.level ?? 0, node.level - 1, `left of ${node.start}`);
  const right = node.right?.level ?? 0;
  assert.ok(right === node.level || right === node.level - 1, `right of ${node.start}`);
  assert.ok((node.right?.right?.level ?? 0) < node.level, `right of right of ${node.start}`);
  assertBalanced(node.left);
  assertBalanced(node.right);
}

function treeOf(count: number): Tree {
  let tree: Tree;
  for (let start = 0; start < count; start++) tree = insert(tree, BigInt(start), BigInt(start));
  return tree;
}

test("starts in ascending order still give a height of at most 2 log2(n + 1)", () => {
  assert.ok(height(treeOf(4095)) <= 24);
});

test("the height shrinks as intervals go", () => {
  let tree = treeOf(4095);
  for (let start = 0n; start < 4080n; start++) tree = remove(tree, start);
  assert.deepEqual(
    starts(tree),
    Array.from({ length: 15 }, (_, i) => BigInt(4080 + i)),
  );
  assert.ok(height(tree) <= 8);
});

test("removing what is not there is a broken invariant", () => {
  assert.throws(() => remove(treeOf(3), 7n), RangeError);
});

test("any order of inserts and removals keeps the tree sorted, balanced and findable", () => {
  const operations = fc.array(fc.bigInt({ min: 0n, max: 60n }), { maxLength: 200, size: "max" });
  fc.assert(
    fc.property(operations, fc.bigInt({ min: -1n, max: 61n }), (toggled, at) => {
      let tree: Tree;
      const model = new Map<bigint, bigint>(); // start -> end
      for (const start of toggled) {
        if (model.delete(start)) tree = remove(tree, start);
        else {
          model.set(start, start + 1000n);
          tree = insert(tree, start, start + 1000n);
        }
        assertBalanced(tree);
      }
      const sorted = [...model.keys()].sort((a, b) => Number(a - b));
      assert.deepEqual(starts(tree), sorted);
      const expectAt = (found: Tree, want: bigint | undefined) => {
        assert.deepEqual(found && bounds(found), want === undefined ? undefined : { start: want, end: model.get(want) });
      };
      expectAt(
        floor(tree, at),
        sorted.findLast((start) => start <= at),
      );
      expectAt(
        above(tree, at),
        sorted.find((start) => start > at),
      );
    }),
  );
});

function bounds({ start, end }: Interval): { start: bigint; end: bigint } {
  return { start, end };
}

const top = 40n;

/** Every member and, by the gaps between them, proof that neighbors were joined into one interval. */
function assertSame(set: IntervalSet, model: ReadonlySet<bigint>): void {
  assert.equal(set.size, model.size);
  for (let from = 0n; from <= top; from++) {
    let present = from;
    while (present <= top && !model.has(present)) present++;
    assert.equal(set.next(from), present > top ? undefined : present, `next(${from})`);
    let absent = from;
    while (model.has(absent)) absent++;
    assert.equal(set.nextAbsent(from), absent, `nextAbsent(${from})`);
  }
}

test("any adds and deletes leave the same members as a plain set", () => {
  const operations = fc.array(fc.tuple(fc.boolean(), fc.bigInt({ min: 0n, max: top })), { maxLength: 300, size: "max" });
  fc.assert(
    fc.property(operations, (steps) => {
      const set = new IntervalSet();
      const model = new Set<bigint>();
      for (const [adds, value] of steps) {
        if (adds) {
          assert.equal(set.add(value), !model.has(value));
          model.add(value);
        } else assert.equal(set.delete(value), model.delete(value));
      }
      assertSame(set, model);
    }),
  );
});

test("a number between two intervals joins them, and taking it out parts them again", () => {
  const set = new IntervalSet();
  const model = new Set([1n, 2n, 3n, 5n, 6n]);
  for (const value of model) set.add(value);
  set.add(4n);
  assert.equal(set.nextAbsent(1n), 7n);
  set.delete(4n);
  assertSame(set, model);
});

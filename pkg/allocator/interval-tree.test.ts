import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { above, floor, type Interval, insert, remove, type Tree } from "./interval-tree.ts";

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

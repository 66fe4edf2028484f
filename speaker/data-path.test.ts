import assert from "node:assert/strict";
import { test } from "node:test";
import { type Conntrack, readConntrack } from "./data-path.ts";

const header = "entries  clashres found insert_failed drop early_drop";

/** A kernel's files. */
function files(max: number, entries: number, ...drops: number[]) {
  const row = (drop: number) =>
    ["", "", "", "", drop, ""].map((value) =>
      Number(value || 0)
        .toString(16)
        .padStart(8, "0"),
    );
  const rows = drops.map((drop) => row(drop).with(0, entries.toString(16).padStart(8, "0")).join(" "));
  return (path: string) => (path.endsWith("nf_conntrack_max") ? `${max}\n` : `${[header, ...rows].join("\n")}\n`);
}

test("a table of connections is full from when packets are dropped until less than nine tenths of it are in use", () => {
  let before: Conntrack | undefined;
  for (const [what, entries, drops, isFull] of [
    ["packets were dropped before anybody looked", 100, [7, 1], false],
    ["it is full, and entries that nobody answered make room", 100, [7, 1], false],
    ["one processor drops packets", 99, [7, 2], true],
    ["it drops none just now", 95, [7, 2], true],
    ["there is room", 89, [7, 2], false],
    ["packets are dropped for another reason", 50, [9, 2], false],
    ["it is in use again", 95, [9, 2], false],
  ] as const) {
    before = readConntrack(before, files(100, entries, ...drops));
    assert.equal(before?.isFull, isFull, what);
  }
});

test("a kernel without such a table, or with other columns, is not full", () => {
  const missing = () => {
    throw new Error("ENOENT");
  };
  assert.equal(readConntrack(undefined, missing), undefined);
  for (const text of ["", "entries\n", "a b c\n1 2\n"])
    assert.equal(readConntrack({ dropped: 0, isFull: false }, () => text)?.isFull ?? false, false);
});

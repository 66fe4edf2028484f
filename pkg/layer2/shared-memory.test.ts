import assert from "node:assert/strict";
import { test } from "node:test";
import { SharedMemory } from "./shared-memory.ts";

test("what one side counts and flags, the other reads, also in rows added later", () => {
  const main = SharedMemory.create();
  const worker = new SharedMemory(structuredClone(main.buffers));
  const rows = Array.from({ length: 10_000 }, () => main.addRow());
  assert.equal(new Set(rows).size, 10_000);
  const last = rows.at(-1) ?? 0;
  assert.equal(worker.isAnnounced(last), false);
  main.setAnnounced(last, true);
  assert.equal(worker.isAnnounced(last), true);
  worker.addToRow(last, "requests");
  worker.addToRow(last, "requests");
  worker.addToRow(last, "gratuitous");
  worker.totals.add("notAnnounced");
  worker.totals.add("dropped", 7);
  const read = (row: number) => (["requests", "responses", "gratuitous"] as const).map((field) => main.row(row, field));
  assert.deepEqual(read(last), [2, 0, 1]);
  assert.deepEqual(read(last - 1), [0, 0, 0]);
  assert.equal(main.totals.get("dropped"), 7);
  assert.equal(main.totals.get("notAnnounced"), 1);
});

test("a row that is free is used again, with its counters at 0", () => {
  const shared = SharedMemory.create();
  const row = shared.addRow();
  shared.addToRow(row, "requests");
  shared.freeRow(row);
  assert.equal(shared.addRow(), row);
  assert.equal(shared.row(row, "requests"), 0);
  assert.notEqual(shared.addRow(), row);
});

test("an address counts as announced until it is withdrawn, for both threads at once", () => {
  const main = SharedMemory.create();
  const worker = new SharedMemory(main.buffers);
  const [row, other] = [main.addRow(), main.addRow()];
  assert.equal(worker.isAnnounced(row), false);
  main.setAnnounced(row, true);
  assert.deepEqual([worker.isAnnounced(row), worker.isAnnounced(other)], [true, false]);
  main.setAnnounced(row, false);
  assert.equal(worker.isAnnounced(row), false);
});

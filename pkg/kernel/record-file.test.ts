import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { silentLog } from "#pkg/log/testing";
import { RecordFile } from "./record-file.ts";
import { createKernelState } from "./state/state.ts";

test("a record that cannot be written is written as soon as it can be, and the log says once that it cannot", () => {
  const parent = mkdtempSync(join(tmpdir(), "ingot-record-"));
  try {
    const folder = join(parent, "run");
    const warnings: string[] = [];
    const open = () => new RecordFile({ node: "node1", folder, log: { ...silentLog, warn: (text) => warnings.push(text) } });
    const state = createKernelState(true);
    state.marks.add(248);
    const record = open();
    writeFileSync(folder, "in the way");
    for (let attempt = 0; attempt < 3; attempt++) record.write(state);
    rmSync(folder);
    record.write(state);
    const next = createKernelState(true);
    assert.equal(open().read(next), true);
    assert.deepEqual([[...next.marks], warnings.length], [[248], 1]);
  } finally {
    rmSync(parent, { recursive: true });
  }
});

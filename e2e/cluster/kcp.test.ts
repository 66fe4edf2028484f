import assert from "node:assert/strict";
import { test } from "node:test";
import { findKcp } from "#e2e/cluster";

test("KCP names the binary to use", async () => {
  assert.equal(await findKcp({ KCP: process.execPath }), process.execPath);
});

test("a KCP that cannot be run is refused, not replaced by another", async () => {
  await assert.rejects(findKcp({ KCP: "/nowhere/kcp" }), /KCP names: \/nowhere\/kcp is not an executable file/);
  await assert.rejects(findKcp({ KCP: import.meta.filename }), /is not an executable file/);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { workerFile } from "./worker-file.ts";

test("the thread's file is beside the source in a checkout, and beside the bundle in an image", () => {
  assert.equal(workerFile("file:///src/pkg/bfd/bfd.ts", "bfd-worker.js").href, "file:///src/pkg/bfd/worker.ts");
  assert.equal(workerFile("file:///app/speaker.js", "bfd-worker.js").href, "file:///app/bfd-worker.js");
});

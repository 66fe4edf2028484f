import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { podNamespace } from "#pkg/process";

test("the namespace that is given wins, else the Pod's own is taken, else it says how to give one", () => {
  const directory = mkdtempSync(join(tmpdir(), "ingot-namespace-test-"));
  try {
    const file = join(directory, "namespace");
    assert.throws(() => podNamespace("", file), /give --namespace or METALLB_NAMESPACE, or run in a Pod/);
    writeFileSync(file, "lb-system\n");
    assert.equal(podNamespace("", file), "lb-system");
    assert.equal(podNamespace("given", file), "given");
  } finally {
    rmSync(directory, { recursive: true });
  }
});
